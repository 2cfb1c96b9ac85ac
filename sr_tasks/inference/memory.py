"""How much memory there is, what a prepared graph takes of it, and the tiles that follow. Reads sizes; runs nothing."""

import math
from dataclasses import dataclass
from typing import Final

import onnx
from onnx import TensorProto

from sr_tasks.graphs.graph import build_graph
from sr_tasks.inference.backends.nvidia import Gpu
from sr_tasks.inference.machine import memory_bytes
from sr_tasks.inference.tiles import Layout, plan_grid
from sr_tasks.planes.arrays import dtype_of
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.entry import ModelEntry

_SHARE = 0.5
"""Of all memory, for planes and inference together; decoder, encoder and the rest of the machine have the other."""
_PLANES_SHARE = 0.125
"""Of all memory, for frames in flight."""
_GPU_STREAMS = 2
"""Frames that are computed at once on a GPU, however many streams feed it."""

_BLOCK = 16
"""Runtimes round channels up to vectors of so many."""
_UNKNOWN_CHANNELS = 256
"""Counted where the sizes inside a graph cannot be told: as a network of 64 channels with a few branches."""
_PROBE_PX = 256

_ITEM_BYTES: Final[dict[int, int]] = {
    int(TensorProto.UINT8): 1,
    int(TensorProto.UINT16): 2,
    int(TensorProto.FLOAT16): 2,
    int(TensorProto.INT64): 8,
}


@dataclass(frozen=True, kw_only=True)
class Room:
    """Memory in bytes for `streams` frames that are computed at once. All that there is, not what is free just now: the
    same job is cut the same way when it is run again."""

    memory: int
    streams: int

    @classmethod
    def of_machine(cls, streams: int, *, max_task_bytes: int = 0) -> "Room":
        """What this process may use of the machine, and no more than a deployment lets a task have."""
        memory = memory_bytes()
        return cls(memory=min(memory, max_task_bytes or memory), streams=streams)

    @classmethod
    def of_device(cls, gpu: Gpu | None, streams: int, *, max_task_bytes: int = 0) -> "Room":
        """What the GPU has; without one the CPU is the device, and has the machine's."""
        if gpu is None:
            return cls.of_machine(streams, max_task_bytes=max_task_bytes)
        return cls(memory=gpu.memory_bytes, streams=min(streams, _GPU_STREAMS))


def frames_in_flight(variant: GraphVariant, width: int, height: int, room: Room) -> int:
    """Frames that may be under way between decoder and encoder at once: three to a stream unless they are very large,
    two at least."""
    fitting = int(room.memory * _PLANES_SHARE) // _frame_bytes(variant, width, height)
    return max(2, min(3 * room.streams, fitting))


def _frame_bytes(variant: GraphVariant, width: int, height: int) -> int:
    """Of a source frame and what is made of it."""
    shapes = variant.layout.shapes(width, height) + variant.output_shapes(width, height)
    return sum(rows * columns for rows, columns in shapes) * dtype_of(variant.layout).itemsize


def choose_tile_px(
    entry: ModelEntry, variant: GraphVariant, width: int, height: int, room: Room, *, wanted: int = 0
) -> int:
    """Side of the tiles for frames of this size, 0 for whole frames: `wanted` unless that is 0, else as large as fits.

    Whole frames are the fastest where they fit. Measured on networks of 16 and 48 channels from 1280x720 to 3840x2160,
    tiles of 384 px took 2 to 25 % more CPU time, of 1024 px 4 to 11 %: runtimes block for the cache by themselves, and
    halos are computed twice. Raises what `build_graph` raises.
    """
    if wanted:
        return wanted
    layout = Layout.of(entry.card, variant)
    model = build_graph(entry, variant)
    in_flight = frames_in_flight(variant, width, height, room)
    planes = in_flight * _frame_bytes(variant, width, height)
    budget = max(room.memory * _SHARE - planes - 2 * model.ByteSize(), room.memory * _SHARE / 4)
    per_px = bytes_per_px(model, variant, layout) * room.streams
    tile, grid = 0, plan_grid(layout, width, height, 0)
    while grid.columns.window * grid.rows.window * per_px > budget:
        smaller = tile // 2 if tile else _below(max(grid.columns.window, grid.rows.window))
        if smaller < layout.smallest_tile:
            break
        tile, grid = smaller, plan_grid(layout, width, height, smaller)
    return tile


def _below(side: int) -> int:
    """The largest power of two below a side."""
    return int(1 << ((side - 1).bit_length() - 1))


def bytes_per_px(model: onnx.ModelProto, variant: GraphVariant, layout: Layout) -> float:
    """Of memory for values while a planes-to-planes graph runs, by source px: the most that is alive at once if every
    value is freed after its last use, and channels are rounded up as runtimes do. `model` is given sizes.

    Measured on networks of 16 to 48 channels, OpenVINO and ONNX Runtime take 0.8 to 1.2 times as much in fp32.
    """
    rows, columns = layout.fixed or (_probed(layout), _probed(layout))
    names, item = variant.layout.names, dtype_of(variant.layout).itemsize
    inputs = {value.name: value for value in model.graph.input}
    for name, shape in zip(names, variant.layout.shapes(columns, rows), strict=True):
        for dimension, size in zip(inputs[name].type.tensor_type.shape.dim, (1, 1, *shape), strict=True):
            dimension.dim_value = size
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {value.name: _value_bytes(value) for value in (*graph.value_info, *graph.input)}
    for name, shape in zip(names, variant.output_shapes(columns, rows), strict=True):
        sizes[f"{name}_out"] = math.prod(shape) * item
    return _most_alive(graph, sizes, _UNKNOWN_CHANNELS * 4 * rows * columns) / (rows * columns)


def _probed(layout: Layout) -> int:
    """A side that the graph takes."""
    return -(-max(_PROBE_PX, layout.minimum) // layout.grid) * layout.grid


def _value_bytes(value: onnx.ValueInfoProto) -> int | None:
    """Bytes of a value, None if its shape is not known. Channels of pictures count in whole vectors."""
    tensor = value.type.tensor_type
    dims = [dimension.dim_value for dimension in tensor.shape.dim]
    if not tensor.HasField("shape") or (dims and not all(dims)):
        return None
    if len(dims) == 4 and dims[1] > 1:
        dims[1] = -(-dims[1] // _BLOCK) * _BLOCK
    return int(math.prod(dims)) * _ITEM_BYTES.get(int(tensor.elem_type), 4)


def _most_alive(graph: onnx.GraphProto, sizes: dict[str, int | None], unknown: int) -> int:
    constants = {tensor.name for tensor in graph.initializer}
    last_use = {name: number for number, node in enumerate(graph.node) for name in node.input}
    last_use |= {value.name: len(graph.node) for value in graph.output}

    def size_of(name: str) -> int:
        size = sizes.get(name)
        return unknown if size is None else size

    alive = {value.name: size_of(value.name) for value in graph.input}
    most = 0
    for number, node in enumerate(graph.node):
        alive |= {name: size_of(name) for name in node.output if name and name not in constants}
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last_use.get(name, -1) > number}
    return most
