"""Layers of ncnn that move, join, resize, pad or sum up pictures, and constants."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sr_tasks.intake.ncnn.layer import Converter, Graph, Layer, Stored, Unsupported


def _pixel_shuffle(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return graph.node("DepthToSpace", inputs, blocksize=layer.whole(0, 1), mode="DCR" if layer.whole(1) else "CRD")


def _reorg(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    """Pixel unshuffle: blocks of a plane become channels."""
    block = layer.whole(0, 1)
    if layer.whole(1):
        return graph.node("SpaceToDepth", inputs, blocksize=block)
    raise Unsupported("pixel unshuffle of channels first is not known here")


def _interp(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    kind, rows, columns = layer.whole(0), layer.number(1, 1.0), layer.number(2, 1.0)
    if layer.whole(3) or layer.whole(4) or len(inputs) > 1:
        raise Unsupported("it resizes to a fixed size")
    if layer.whole(6):
        raise Unsupported("it aligns corners")
    scales = graph.constant(np.array([1, 1, rows, columns], dtype=np.float32))
    how: Mapping[int, dict[str, Any]] = {
        1: {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        2: {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        3: {"mode": "cubic", "coordinate_transformation_mode": "half_pixel", "cubic_coeff_a": -0.75},
    }
    if kind not in how:
        raise Unsupported(f"its kind of resizing, {kind}, is not known")
    return graph.node("Resize", [inputs[0], "", scales], **how[kind])


def _concat(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return graph.node("Concat", inputs, axis=_axis(layer.whole(0)))


def _axis(axis: int) -> int:
    """ncnn has no axis of pictures."""
    return axis if axis < 0 else axis + 1


def _memory(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    columns, rows, channels = layer.whole(0), layer.whole(1), layer.whole(2)
    if not layer.whole(21, 1):
        raise Unsupported("its values are stored in another way")
    values = stored.plain(columns * max(1, rows) * max(1, channels))
    if channels:
        return graph.constant(values.reshape(1, channels, rows, columns))
    # One value a channel, for whatever it meets.
    return graph.constant(values.reshape(1, 1, rows, columns) if rows else values.reshape(1, columns, 1, 1))


def _padded(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    if layer.whole(6) or layer.whole(7) or layer.whole(8) or len(inputs) > 1:
        raise Unsupported("it pads channels, or each in its own way")
    top, bottom, left, right = (layer.whole(key) for key in range(4))
    mode = {0: "constant", 1: "edge", 2: "reflect"}[layer.whole(4)]
    pads = graph.constant(np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64))
    value = [graph.constant(np.float32(layer.number(5)))] if mode == "constant" else []
    return graph.node("Pad", [inputs[0], pads, *value], mode=mode)


def _pooling(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    is_mean = layer.whole(0) == 1
    if layer.whole(4):
        return graph.node("GlobalAveragePool" if is_mean else "GlobalMaxPool", inputs)
    raise Unsupported("it is pooling of parts of the picture")


KINDS: Final[Mapping[str, Converter]] = {
    "Concat": _concat,
    "Interp": _interp,
    "MemoryData": _memory,
    "Padding": _padded,
    "PixelShuffle": _pixel_shuffle,
    "Pooling": _pooling,
    "Reorg": _reorg,
}
