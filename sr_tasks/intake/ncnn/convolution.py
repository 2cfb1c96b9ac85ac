"""Convolutions of ncnn, plain, by groups and transposed, with the activation that ncnn folds into them."""

from collections.abc import Mapping
from typing import Any, Final

from sr_tasks.intake.ncnn.layer import Converter, Graph, Layer, Stored, Unsupported
from sr_tasks.intake.ncnn.pointwise import activated


def _convolution(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    if layer.whole(8) or layer.whole(19):
        raise Unsupported("it is int8 or takes its weights from another layer")
    made, group = layer.whole(0), max(1, layer.whole(7, 1))
    columns, rows = _pair(layer, 1, 11)
    taken = layer.whole(6) // (rows * columns * made) * group
    weights = stored.flagged(layer.whole(6)).reshape(made, taken // group, rows, columns)
    bias = [graph.constant(stored.plain(made))] if layer.whole(5) else []
    graph.fed(taken)
    x, y = _pair(layer, 3, 13, 1)
    across, down = _pair(layer, 2, 12, 1)
    output = graph.node(
        "Conv", [inputs[0], graph.constant(weights), *bias], kernel_shape=[rows, columns], strides=[y, x],
        dilations=[down, across], group=group, **_padding(layer),
    )  # fmt: skip
    return activated(graph, layer, output)


def _deconvolution(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    if layer.whole(28) or layer.whole(20) or layer.whole(21):
        raise Unsupported("it takes its weights or its size from elsewhere")
    made, group = layer.whole(0), max(1, layer.whole(7, 1))
    columns, rows = _pair(layer, 1, 11)
    taken = layer.whole(6) // (rows * columns * made) * group
    stored_as = stored.flagged(layer.whole(6)).reshape(group, made // group, taken // group, rows, columns)
    weights = stored_as.transpose(0, 2, 1, 3, 4).reshape(taken, made // group, rows, columns)
    bias = [graph.constant(stored.plain(made))] if layer.whole(5) else []
    graph.fed(taken)
    x, y = _pair(layer, 3, 13, 1)
    across, down = _pair(layer, 2, 12, 1)
    more = _pair(layer, 18, 19)
    output = graph.node(
        "ConvTranspose", [inputs[0], graph.constant(weights), *bias], kernel_shape=[rows, columns], strides=[y, x],
        dilations=[down, across], group=group, output_padding=[more[1], more[0]], pads=_sides(layer),
    )  # fmt: skip
    return activated(graph, layer, output)


def _pair(layer: Layer, across: int, down: int, default: int = 0) -> tuple[int, int]:
    """A parameter for columns, and the one for rows, which is the same where it is left out."""
    first = layer.whole(across, default)
    return first, layer.whole(down, first)


def _sides(layer: Layer) -> list[int]:
    """Padding as ONNX has it: top, left, bottom, right."""
    left = layer.whole(4)
    right, top = layer.whole(15, left), layer.whole(14, left)
    sides = [top, left, layer.whole(16, top), right]
    if min(sides) < 0:
        raise Unsupported(f"its padding is {sides}")
    return sides


def _padding(layer: Layer) -> dict[str, Any]:
    automatic = {-233: "SAME_UPPER", -234: "SAME_LOWER"}.get(layer.whole(4))
    if automatic:
        return {"auto_pad": automatic}
    if layer.number(18):
        raise Unsupported(f"it pads with {layer.number(18):g}, not with zeros")
    return {"pads": _sides(layer)}


def _inner_product(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    """After global pooling, where each channel is one value: a convolution of 1x1."""
    made = layer.whole(0)
    weights = stored.flagged(layer.whole(2)).reshape(made, -1, 1, 1)
    bias = [graph.constant(stored.plain(made))] if layer.whole(1) else []
    return activated(graph, layer, graph.node("Conv", [inputs[0], graph.constant(weights), *bias]))


KINDS: Final[Mapping[str, Converter]] = {
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "DeconvolutionDepthWise": _deconvolution,
    "InnerProduct": _inner_product,
}
