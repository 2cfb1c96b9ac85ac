"""The planes graph for a precision and a backend, around a network converted to it. Judges nothing: see `verify`."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray

from sr_tasks.graphs.calibration import PATCH_PX, Patch, calibration_patches
from sr_tasks.graphs.graph import build_graph
from sr_tasks.graphs.verify import proof_size
from sr_tasks.records.cards import Precision, Weights
from sr_tasks.records.prepared import BackendName, GraphVariant
from sr_tasks.registry.entry import ModelEntry

_GPU: frozenset[BackendName] = frozenset({"cuda", "tensorrt"})
_MOVES = ("DepthToSpace", "Identity", "Slice")
_INTEGERS = (onnx.TensorProto.UINT8, onnx.TensorProto.UINT16)
_LIMITED = 1


def patches_for(
    entry: ModelEntry, variant: GraphVariant, frames: Iterable[NDArray[np.float32]], width: int, height: int
) -> list[Patch]:
    """What `entry` is quantised on, of luma [H, W] in 8-bit codes of the job. A network of RGB is shown it as grey."""
    columns, rows = proof_size(entry.card, min(width, PATCH_PX), min(height, PATCH_PX))
    return calibration_patches(_pictures(frames, variant), 3 if entry.card.color == "rgb" else 1, (rows, columns))


def _pictures(frames: Iterable[NDArray[np.float32]], variant: GraphVariant) -> Iterator[Patch]:
    low, span = (16.0, 219.0) if variant.color_range == _LIMITED else (0.0, 255.0)
    for frame in frames:
        yield np.clip((frame[np.newaxis] - low) / span, 0.0, 1.0).astype(np.float32)


def converted_graph(
    entry: ModelEntry, variant: GraphVariant, precision: Precision, backend: BackendName, patches: list[Patch]
) -> bytes:
    """The planes graph, its network at `precision` and everything around it as ever. bf16 is left to the runtime, which
    is told so. Raises ModelRejected for a network that cannot be converted."""
    if precision in ("fp32", "bf16"):
        graph = build_graph(entry, variant)
    else:
        with _converted(entry, variant, precision, backend, patches) as converted:
            graph = build_graph(converted, variant)
    if backend in _GPU:
        move_floats(graph.graph)
    return bytes(graph.SerializeToString(deterministic=True))


@contextmanager
def _converted(
    entry: ModelEntry, variant: GraphVariant, precision: Precision, backend: BackendName, patches: list[Patch]
) -> Iterator[ModelEntry]:
    """The same model with a network at int8 or fp16; the level is a constant of it."""
    weights, level = entry.read_weights(), None if entry.card.level is None else variant.level
    # Both are loaded where they are needed: most jobs find their model in the cache.
    if precision == "int8":
        from sr_tasks.graphs.quantise import quantise

        # TensorRT computes in integers only where zero is zero.
        data = quantise(weights, patches, level=level, label=entry.label, symmetric=backend == "tensorrt")
    else:
        from sr_tasks.graphs.halve import halve

        data = halve(weights, level=level, label=entry.label)
    with TemporaryDirectory(prefix="sr_converted.") as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(data)
        changed = {"weights": Weights(file=path.name, sha256=hashlib.sha256(data).hexdigest()), "level": None}
        yield dataclasses.replace(
            entry, card=entry.card.model_copy(update=changed), folder=path.parent, weights_path=path
        )


def move_floats(graph: onnx.GraphProto) -> None:
    """Turn values into integers after they were moved about, not before: the results are the same, and GPUs move no
    integers."""
    nodes = list(graph.node)
    readers = {name: node for node in nodes for name in node.input}
    for cast in [node for node in nodes if node.op_type == "Cast" and node.attribute[0].i in _INTEGERS]:
        while (move := readers.get(cast.output[0])) is not None and move.op_type in _MOVES:
            value, integers, result = cast.input[0], cast.output[0], move.output[0]
            move.input[0], move.output[0] = value, integers
            cast.input[0], cast.output[0] = integers, result
            nodes.remove(cast)
            nodes.insert(nodes.index(move) + 1, cast)
    del graph.node[:]
    graph.node.extend(nodes)
