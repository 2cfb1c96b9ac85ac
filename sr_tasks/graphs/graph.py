"""The planes-to-planes graph: from a model's weights to one ONNX file for a kind of frame. Runs and stores nothing."""

import onnx

from sr_tasks.graphs.network import Network
from sr_tasks.graphs.planes import PlaneGraph
from sr_tasks.graphs.rgb import RgbEnds
from sr_tasks.planes.resample import chroma_siting
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.registry import ModelEntry

GRAPH_SCHEMA = 2
"""Raise it whenever the same model and variant give another graph: prepared models of an older schema are not used."""

_OPSET = 17


def build_graph(entry: ModelEntry, variant: GraphVariant) -> onnx.ModelProto:
    """The graph that takes the decoder's planes and gives them at `variant.scale` times their size.

    Inputs `y`, `u`, `v` and outputs `y_out`, `u_out`, `v_out` are [1, 1, rows, columns] of any size, uint8 or uint16 in
    0..2^bit_depth - 1; gray has `y` alone. A model of luma is given luma alone, and chroma goes through the fixed
    resampler; a model of RGB is given all planes as R'G'B' by the variant's matrix and range, with exact siting on the
    way there and back. Results are rounded half up. Output chroma has ceil(scale * luma / 2) samples on a halved axis.
    Raises ScaleUnsupported, ModelRejected for weights that are not what the card says, and InputUnsupported for a
    matrix that gives no R'G'B'.
    """
    entry.require_scale(variant.scale)
    planes = PlaneGraph(variant)
    is_rgb = entry.card.color == "rgb"
    if entry.card.kind == "resampler":
        opset = _resample_luma(planes)
    else:
        level = None if entry.card.level is None else variant.level
        network = Network(entry.read_weights(), entry.label, channels=3 if is_rgb else 1, level=level)
        opset, passes = network.opset, entry.card.scales.index(variant.scale) + 1
        (_run_on_rgb if is_rgb else _run_on_luma)(planes, network, passes)
    if variant.chroma != "gray" and not is_rgb:
        _resample_chroma(planes)
    return planes.builder.build(f"{entry.card.name}-x{variant.scale}", opset=opset)


def _resample_luma(planes: PlaneGraph) -> int:
    if planes.variant.scale == 1:
        planes.copy("y")
        return _OPSET
    planes.finish("y", planes.resample(planes.take("y"), "centred", "centred"), planes.variant.scale)
    return _OPSET


def _resample_chroma(planes: PlaneGraph) -> None:
    vertical, horizontal = chroma_siting(planes.variant.chroma, planes.variant.chroma_location)
    for name in ("u", "v"):
        if planes.variant.scale == 1:
            planes.copy(name)
        else:
            planes.finish(name, planes.resample(planes.take(name), vertical, horizontal), planes.variant.scale)


def _run_on_luma(planes: PlaneGraph, network: Network, passes: int) -> None:
    result = network.inline(planes.builder, planes.take("y"), planes.peak)
    for _ in range(passes - 1):
        # A network is trained on pictures within their range, so the overshoot of the first pass is cut off.
        result = network.inline(planes.builder, planes.clip(planes.unfold(result.value, result.blocksize)), planes.peak)
    half = planes.builder.node("Add", [result.value, planes.builder.number("half", 0.5)])
    planes.finish("y", half, result.blocksize)


def _run_on_rgb(planes: PlaneGraph, network: Network, passes: int) -> None:
    ends = RgbEnds(planes)
    result = network.inline(planes.builder, ends.take())
    for _ in range(passes - 1):
        result = network.inline(planes.builder, ends.clip(result.value))
    ends.finish(result.value)
