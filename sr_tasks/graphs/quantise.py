"""Networks in int8 by post-training quantisation, fitted to pictures. Builds no planes graph and judges nothing.

int8 is fast on CPUs and loses precision. The range of each value is calibrated on pictures (`calibration`): a range
that is too wide loses small steps, one that is too narrow cuts peaks off. `_PERCENTILE` is the compromise. Whether
the result may be used is decided in `verify`, by comparing it with the delivered weights.
"""

import contextlib
import io
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.calibration import Patch
from sr_tasks.graphs.simplify import in_order, simplified
from sr_tasks.graphs.verify import ONNXRUNTIME_ERRORS

_PERCENTILE = 99.99
_QUANTISER_ERRORS: tuple[type[Exception], ...] = (
    *ONNXRUNTIME_ERRORS, KeyError, RuntimeError, TypeError, ValueError
)  # fmt: skip
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_QUANTISED = ("Conv", "Gemm", "MatMul")


def quantise(
    weights: bytes, patches: Sequence[Patch], *, level: float | None, label: str, symmetric: bool = False
) -> bytes:
    """The canonical network `weights` with int8 convolutions and matrix products between float ones.

    Weights are int8 by channel, what flows between uint8 by the 99.99th percentile of what `patches` give; with
    `symmetric` int8 around zero. Whatever reads the source without another weighted operator in between, or writes the
    result so, stays float: first and last layers and the base path. A `level` is folded into the network. The same
    input gives the same bytes. Raises ModelRejected for a network with nothing to quantise or one that does not run.
    """
    plain = simplified(weights, level=level, label=label)
    inner = _inner_nodes(plain.graph)
    if not inner:
        raise _rejected(label, "has no layers between its first and its last")
    try:
        quantiser = QDQQuantizer(
            plain,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            tensors_range=_ranges(plain, patches, symmetric=symmetric),
            nodes_to_quantize=inner,
            nodes_to_exclude=[],
            op_types_to_quantize=list(_QUANTISED),
            extra_options={
                # What a layer gives goes through an activation first: it is quantised where the next layer reads it.
                "OpTypesToExcludeOutputQuantization": list(_QUANTISED),
                "ActivationSymmetric": symmetric,
                "AddQDQPairToWeight": symmetric,
                # Biases cost nothing in float, and TensorRT takes no others.
                "QuantizeBias": False,
            },
        )
        quantiser.quantize_model()
    except _QUANTISER_ERRORS as exc:
        raise _rejected(label, f"is not taken by ONNX Runtime's quantiser ({type(exc).__name__}: {exc})") from exc
    return in_order(quantiser.model.model)


def _inner_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the weighted nodes with others on every way to the source and on every way to the result."""
    constants = {tensor.name for tensor in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    producers = {name: node for node in graph.node for name in node.output}
    outer = _nearest_weighted(
        [value.name for value in graph.input], lambda name: readers.get(name, []), lambda node: list(node.output)
    ) | _nearest_weighted(
        [value.name for value in graph.output],
        lambda name: [producers[name]] if name in producers else [],
        lambda node: list(node.input),
    )
    return [
        node.name
        for node in graph.node
        if node.op_type in _QUANTISED and node.name not in outer and node.input[1] in constants
    ]


def _nearest_weighted(
    ends: list[str], nodes_at: Callable[[str], list[onnx.NodeProto]], beyond: Callable[[onnx.NodeProto], list[str]]
) -> set[str]:
    """Names of the weighted nodes that are reached from `ends` without passing another one."""
    found, seen, names = set(), set(ends), deque(ends)
    while names:
        for node in nodes_at(names.popleft()):
            if node.op_type in _WEIGHTED:
                found.add(node.name)
                continue
            for name in beyond(node):
                if name and name not in seen:
                    seen.add(name)
                    names.append(name)
    return found


class _OnePatch(CalibrationDataReader):  # type: ignore[misc]
    """Gives a single patch: what a network makes of all of them at once would not fit into memory."""

    def __init__(self, feeds: dict[str, Patch]) -> None:
        self._left = [feeds]

    def get_next(self) -> dict[str, Patch] | None:
        return self._left.pop() if self._left else None


def _ranges(model: onnx.ModelProto, patches: Sequence[Patch], *, symmetric: bool) -> TensorsData:
    """The range of every value around the layers to quantise, over all patches."""
    # The library tells of its progress by print, and the output of a command is read by programs.
    with tempfile.TemporaryDirectory(prefix="sr_quantise.") as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "network.onnx"
        onnx.save_model(model, path)
        calibrator = create_calibrator(
            path,
            list(_QUANTISED),
            augmented_model_path=str(path.with_name("augmented.onnx")),
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={"percentile": _PERCENTILE, "symmetric": symmetric},
        )
        name = calibrator.infer_session.get_inputs()[0].name
        for patch in patches:
            calibrator.collect_data(_OnePatch({name: patch}))
        return calibrator.compute_data()


def _rejected(label: str, what: str) -> ModelRejected:
    return ModelRejected(f"The network of {label} {what}: it cannot be quantised.", hint="Use another precision.")
