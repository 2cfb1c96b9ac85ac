"""Verification of a prepared model: its output on test frames against the weights as they were delivered.

Optimised runtimes, fp16 and int8 may change pictures. So each prepared model runs on three small frames, and the
result is compared with ONNX Runtime without optimisations, the reference. fp32 may be one 8-bit code away, fp16 must
reach `HALF_MIN_PSNR_DB`, int8 `INT8_MIN_PSNR_DB` and a small loss against the true pictures. The limits decide which
precision a machine uses. The frames are the same at every call: other frames need new limits.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as states

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.pictures import Picture, drawn_picture, natural_picture, shrunk
from sr_tasks.graphs.runtime import Backend, Plane, Planes
from sr_tasks.planes.metrics import psnr_db
from sr_tasks.records.cards import ModelCard, Precision
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.entry import ModelEntry

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

JUDGE: Final = f"onnxruntime {ort.__version__}"
"""What runs the original, and converts networks."""

HALF_MIN_PSNR_DB: Final = 48.0
INT8_MIN_PSNR_DB: Final = 42.0
INT8_MAX_LOSS_DB: Final = 0.15
"""Against pictures that were made small and enlarged again: how much further from them int8 may be than fp32."""

_ROUNDING: Final = 1e-6
"""By which share of themselves weights are changed to see what rounding does to a network: some units in the last place
of float32, as after the sums of a layer."""
_ROUNDING_FACTOR: Final = 4
"""How many times as far as that a runtime may be: it rounds at every layer, in another order."""

_WIDTH, _HEIGHT = 192, 112
_LARGE = 2_000_000
"""Parameters from which on frames are smaller, as the unoptimised reference would take minutes."""


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """Of the worst plane of the worst frame, against the original."""

    max_codes: int
    psnr_db: float
    loss_db: float
    """PSNR of luma against true pictures that is lost; below zero where it comes nearer to them than the original."""
    is_in_range: bool
    """Whether no code is above the highest of its bit depth."""
    rounding_codes: int = 0
    """By how many codes the original itself changes where its weights do by 1e-6: zero if that was not looked at."""

    def is_acceptable(self, precision: Precision, bit_depth: int) -> bool:
        if not self.is_in_range:
            return False
        if precision == "fp32":
            exact = ((1 << bit_depth) - 1) // 255
            is_rounding = self.max_codes <= _ROUNDING_FACTOR * self.rounding_codes and self.psnr_db >= HALF_MIN_PSNR_DB
            return self.max_codes <= exact or is_rounding
        if precision == "int8":
            return self.psnr_db >= INT8_MIN_PSNR_DB and self.loss_db <= INT8_MAX_LOSS_DB
        return self.psnr_db >= HALF_MIN_PSNR_DB

    def __str__(self) -> str:
        text = f"{self.psnr_db:.1f} dB, at most {self.max_codes} codes from its original, loss {self.loss_db:.3f} dB"
        return text if self.is_in_range else f"{text}, out of range"


@dataclass(frozen=True, kw_only=True)
class _Frame:
    planes: Planes
    truth: NDArray[np.float64] | None
    """Luma in codes as it was before it was made small, if that is known."""
    original: Planes


class Original:
    """A model as it was delivered, and what becomes of some frames in it: natural-like ones, soft and harsh, whose
    true enlargement is known, and a drawn one."""

    def __init__(self, entry: ModelEntry, variant: GraphVariant, graph: bytes, *, width: int, height: int) -> None:
        """Run `graph`, the planes graph of `entry` in fp32, in ONNX Runtime without its optimisations.

        Luma of a luma network comes from its weights file itself, so that the graph around it is proved as well.
        `width` and `height` are the source's; frames are of at most 192x112, even or odd as the source is. Raises
        ModelRejected for a model that does not run at all, enlarges by another scale than its card says, or gives what
        is no number.
        """
        self.width, self.height = proof_size(entry.card, width, height)
        self._variant = variant
        self._graph = graph
        sources: list[tuple[Planes, NDArray[np.float64] | None]] = [
            (synthetic_frame(variant, self.width, self.height), None)
        ]
        sources += [_natural_frame(entry.card, variant, self.width, self.height, softness) for softness in (1, 0)]
        try:
            network = None if entry.card.kind == "resampler" else _Network(entry, variant)
            session = _plain_session(graph)
            self._frames = [
                _Frame(
                    planes=planes,
                    truth=truth,
                    # A network of RGB gives nothing to compare with by itself: it is tried once.
                    original=_original(session, network if entry.card.color == "luma" or not number else None, planes),
                )
                for number, (planes, truth) in enumerate(sources)
            ]
        except ONNXRUNTIME_ERRORS as exc:
            raise ModelRejected(f"{entry.label} does not run: {exc}", hint="Export the model again.") from exc
        expected = self.height * variant.scale, self.width * variant.scale
        found = self._frames[0].original[0].shape
        if found != expected:
            raise ModelRejected(
                f"{entry.label} makes {found} of {(self.height, self.width)}, not {expected}.",
                hint="Correct the scale in its card.",
            )

    def compare(self, prepared: PreparedModel, backend: Backend) -> Deviation:
        """What `backend` makes of the same frames. Raises ModelRejected if it does not take the file."""
        session = backend.open(prepared, self.width, self.height)
        try:
            each = [self._deviation(frame, session.infer((frame.planes,))) for frame in self._frames]
        finally:
            session.close()
        max_codes = max(one.max_codes for one in each)
        may_be_rounding = prepared.precision == "fp32" and max_codes > 1
        return Deviation(
            max_codes=max_codes,
            psnr_db=min(one.psnr_db for one in each),
            loss_db=max(one.loss_db for one in each),
            is_in_range=all(one.is_in_range for one in each),
            rounding_codes=self._rounding_codes() if may_be_rounding else 0,
        )

    def _rounding_codes(self) -> int:
        """Some networks (SPAN, for one) turn the last bits of their features into codes, on harsh pictures. No runtime
        can be nearer to such an original than the original is to itself with other last bits."""
        session = _plain_session(_with_other_last_bits(self._graph))
        found = [_original(session, None, frame.planes) for frame in self._frames]
        plain = _plain_session(self._graph)
        return max(
            int(np.abs(one.astype(np.int64) - other).max())
            for frame, planes in zip(self._frames, found, strict=True)
            for one, other in zip(planes, _original(plain, None, frame.planes), strict=True)
        )

    def _deviation(self, frame: _Frame, found: Planes) -> Deviation:
        peak = 2**self._variant.bit_depth - 1
        pairs = list(zip(found, frame.original, strict=True))
        errors = [one.astype(np.float64) - other for one, other in pairs]
        loss = 0.0
        if frame.truth is not None:
            loss = _psnr(frame.original[0] - frame.truth, peak) - _psnr(found[0] - frame.truth, peak)
        return Deviation(
            max_codes=max(int(np.abs(error).max()) for error in errors),
            psnr_db=min(_psnr(error, peak) for error in errors),
            loss_db=loss,
            is_in_range=all(int(one.max()) <= peak for one, _ in pairs),
        )


def proof_size(card: ModelCard, width: int, height: int) -> tuple[int, int]:
    """Columns and rows of frames to try a model on: small, odd where the source is, and such as its card allows."""
    tiles = card.tiles
    if tiles.fixed is not None:
        rows, columns = tiles.fixed
        return columns, rows
    share = 2 if card.parameters > _LARGE else 1
    sizes = (_small(width, _WIDTH // share), _small(height, _HEIGHT // share))
    multiple = tiles.multiple
    columns, rows = (-(-max(size, tiles.minimum) // multiple) * multiple for size in sizes)
    return columns, rows


def synthetic_frame(variant: GraphVariant, width: int, height: int) -> Planes:
    """Planes with what drawings have: gradients, edges, stripes, flat areas, grain. The same at every call."""
    sizes = _sizes(variant, width, height)
    return _codes([drawn_picture(*size, seed=number + 1) for number, size in enumerate(sizes)], variant)


def _natural_frame(
    card: ModelCard, variant: GraphVariant, width: int, height: int, softness: int
) -> tuple[Planes, NDArray[np.float64] | None]:
    """A natural-like frame, made small, with its true luma in codes; a style has no true picture."""
    scale = variant.scale
    pictures = [
        natural_picture(rows * scale, columns * scale, seed=number + 1, softness=softness)
        for number, (rows, columns) in enumerate(_sizes(variant, width, height))
    ]
    small = [shrunk(picture, scale) for picture in pictures]
    if scale == 1:
        # What a model that does not enlarge is for: taking away what is too much.
        small[0] = small[0] + np.random.default_rng(softness).normal(0.0, 3 / 255, small[0].shape)
    truth = None if card.kind == "style" else pictures[0] * (2**variant.bit_depth - 1)
    return _codes(small, variant), truth


def _sizes(variant: GraphVariant, width: int, height: int) -> list[tuple[int, int]]:
    """Rows and columns of each plane."""
    if variant.chroma == "gray":
        return [(height, width)]
    rows = -(-height // 2) if variant.chroma == "420" else height
    columns = width if variant.chroma == "444" else -(-width // 2)
    return [(height, width), (rows, columns), (rows, columns)]


def _codes(pictures: list[Picture], variant: GraphVariant) -> Planes:
    peak = 2**variant.bit_depth - 1
    dtype = np.uint8 if variant.bit_depth == 8 else np.uint16
    return tuple(np.clip(np.rint(picture * peak), 0, peak).astype(dtype) for picture in pictures)


class _Network:
    """The weights file alone."""

    def __init__(self, entry: ModelEntry, variant: GraphVariant) -> None:
        self._session = _plain_session(entry.read_weights())
        self._label = entry.label
        self._variant = variant
        self._is_luma = entry.card.color == "luma"
        self._passes = entry.card.scales.index(variant.scale) + 1

    def luma(self, luma: Plane) -> Plane | None:
        """What it makes of a plane of luma; None for a network of RGB, which does not give luma by itself. Raises
        ModelRejected for what is no number."""
        peak = 2**self._variant.bit_depth - 1
        picture = luma.astype(np.float32)[np.newaxis, np.newaxis] / np.float32(peak)
        if not self._is_luma:
            picture = np.repeat(picture, 3, axis=1)
        names = [value.name for value in self._session.get_inputs()]
        told = {name: np.array([self._variant.level], dtype=np.float32) for name in names[1:]}
        for _ in range(self._passes):
            feeds = {names[0]: np.clip(picture, 0.0, 1.0)} | told
            picture = np.asarray(self._session.run(None, feeds)[0])
        if not np.isfinite(picture).all():
            raise ModelRejected(f"{self._label} gives values that are no numbers.", hint="Export the model again.")
        if not self._is_luma:
            return None
        codes: NDArray[np.float64] = np.clip(np.floor(picture[0, 0].astype(np.float64) * peak + 0.5), 0, peak)
        return codes.astype(np.uint8) if luma.dtype == np.uint8 else codes.astype(np.uint16)


def _original(session: ort.InferenceSession, network: _Network | None, planes: Planes) -> Planes:
    names = ("y", "u", "v")[: len(planes)]
    feeds = {name: plane[np.newaxis, np.newaxis] for name, plane in zip(names, planes, strict=True)}
    results = [np.asarray(output)[0, 0] for output in session.run([f"{name}_out" for name in names], feeds)]
    luma = None if network is None else network.luma(planes[0])
    return tuple(results if luma is None else [luma, *results[1:]])


def _psnr(error: NDArray[np.float64], peak: int) -> float:
    return psnr_db(max(float(np.mean(error**2)), 1e-9), peak)


def _with_other_last_bits(graph: bytes) -> bytes:
    """The graph with each weight and bias of a convolution changed by up to `_ROUNDING` of itself, the same at every
    call."""
    model = onnx.load_from_string(graph)
    weights = {name for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]}
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        if tensor.name in weights and tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            changed = values * (1 + _ROUNDING * rng.uniform(-1, 1, values.shape))
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed.astype(np.float32), tensor.name))
    return bytes(model.SerializeToString())


def _plain_session(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _small(size: int, limit: int) -> int:
    return size if size <= limit else limit - (limit - size) % 2
