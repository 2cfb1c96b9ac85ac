"""Proof of a prepared model: what a backend makes of a detailed frame against the weights as they were delivered."""

import math
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from sr_tasks.errors import ModelRejected
from sr_tasks.models.prepared import GraphVariant, PreparedModel
from sr_tasks.models.registry import ModelEntry
from sr_tasks.models.runtime import Backend, Plane, Planes

ONNXRUNTIME_ERRORS: tuple[type[Exception], ...] = (
    states.EPFail,
    states.Fail,
    states.InvalidArgument,
    states.InvalidGraph,
    states.InvalidProtobuf,
    states.NoSuchFile,
    states.NotImplemented,
    states.RuntimeException,
)
"""All it raises; they have no base of their own."""

FP32_MAX_CODES = 1
"""Rounding may fall to either side where a value lies halfway between two codes."""

BF16_MIN_PSNR_DB = 48.0

_WIDTH, _HEIGHT = 192, 112


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Of the worst plane of the frame, against the reference."""

    max_codes: int
    psnr_db: float

    def is_acceptable(self, precision: str) -> bool:
        return self.max_codes <= FP32_MAX_CODES if precision == "fp32" else self.psnr_db >= BF16_MIN_PSNR_DB


def measure(entry: ModelEntry, prepared: PreparedModel, backend: Backend, *, width: int, height: int) -> Deviation:
    """Run the prepared file on `backend` and compare it with ONNX Runtime in fp32, without its optimisations.

    The frame is a synthetic one of at most 192x112, even or odd as the source is. The reference of luma is the
    weights file itself, so that the graph built around it is proved as well. Raises ModelRejected for a model that
    does not run at all or enlarges by another scale than its card says.
    """
    width, height = _small(width, _WIDTH), _small(height, _HEIGHT)
    planes = synthetic_frame(prepared.variant, width, height)
    try:
        reference = _reference(entry, prepared, planes)
    except ONNXRUNTIME_ERRORS as exc:
        raise ModelRejected(f"{entry.label} does not run: {exc}", hint="Export the model again.") from exc
    expected = height * prepared.variant.scale, width * prepared.variant.scale
    if reference[0].shape != expected:
        raise ModelRejected(
            f"{entry.label} makes {reference[0].shape} of {planes[0].shape}, not {expected}.",
            hint="Correct the scale in its card.",
        )
    session = backend.open(prepared, width, height)
    try:
        found = session.infer(planes)
    finally:
        session.close()
    peak = 2**prepared.variant.bit_depth - 1
    errors = [one.astype(np.float64) - other for one, other in zip(found, reference, strict=True)]
    worst = max(float(np.mean(error**2)) for error in errors)
    return Deviation(
        max_codes=max(int(np.abs(error).max()) for error in errors),
        psnr_db=10 * math.log10(peak**2 / max(worst, 1e-9)),
    )


def synthetic_frame(variant: GraphVariant, width: int, height: int) -> Planes:
    """Planes with what pictures have: gradients, edges, fine texture, flat areas, grain. The same at every call."""
    luma = _pattern(height, width, seed=1)
    planes = [luma]
    if variant.chroma != "gray":
        rows = -(-height // 2) if variant.chroma == "420" else height
        columns = width if variant.chroma == "444" else -(-width // 2)
        planes += [_pattern(rows, columns, seed=2), _pattern(rows, columns, seed=3)]
    peak = 2**variant.bit_depth - 1
    dtype = np.uint8 if variant.bit_depth == 8 else np.uint16
    return tuple(np.clip(np.rint(plane * peak), 0, peak).astype(dtype) for plane in planes)


def _pattern(rows: int, columns: int, *, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    chirp = 0.2 * np.sin(x * x / (4.0 * max(columns, 1)) * np.pi) * np.cos(y / (5.0 + seed))
    gradient = 0.25 + 0.5 * (x + seed * y) / (columns + seed * rows)
    disc = 0.3 * (np.hypot(x - columns * 0.6, y - rows * 0.4) < min(rows, columns) * 0.3)
    bars = 0.25 * ((x + y) // (3 + seed) % 2) * (y > rows * 0.7)
    grain = rng.normal(0.0, 0.02, (rows, columns)) * (x < columns * 0.8)
    return np.asarray(gradient + chirp + disc + bars + grain)


def _reference(entry: ModelEntry, prepared: PreparedModel, planes: Planes) -> Planes:
    names = ("y", "u", "v")[: len(planes)]
    feeds = {name: plane[np.newaxis, np.newaxis] for name, plane in zip(names, planes, strict=True)}
    session = _plain_session(prepared.onnx_path.read_bytes())
    outputs = session.run([f"{name}_out" for name in names], feeds)
    results = [np.asarray(output)[0, 0] for output in outputs]
    if entry.card.kind == "network":
        results[0] = _reference_luma(entry, prepared.variant, planes[0])
    return tuple(results)


def _reference_luma(entry: ModelEntry, variant: GraphVariant, luma: Plane) -> Plane:
    session = _plain_session(entry.read_weights())
    peak = 2**variant.bit_depth - 1
    picture = luma.astype(np.float32)[np.newaxis, np.newaxis] / np.float32(peak)
    for _ in range(entry.card.scales.index(variant.scale) + 1):
        picture = np.asarray(session.run(None, {session.get_inputs()[0].name: np.clip(picture, 0.0, 1.0)})[0])
    codes: NDArray[np.float64] = np.clip(np.floor(picture[0, 0].astype(np.float64) * peak + 0.5), 0, peak)
    return codes.astype(np.uint8) if luma.dtype == np.uint8 else codes.astype(np.uint16)


def _plain_session(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _small(size: int, limit: int) -> int:
    return size if size <= limit else limit - (limit - size) % 2
