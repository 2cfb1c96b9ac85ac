"""ONNX Runtime on the CPU. The only module of the room that imports onnxruntime; knows prepared models, not videos."""

import numpy as np
import onnxruntime as ort

from sr_tasks.errors import ChunkFailed, ModelRejected, UsageError
from sr_tasks.graphs.runtime import BackendName, Plane, Planes, Precision, Session
from sr_tasks.graphs.verify import ONNXRUNTIME_ERRORS
from sr_tasks.inference.backends.pool import PooledSession
from sr_tasks.inference.backends.processor import cpu_architecture, cpu_name
from sr_tasks.records.prepared import PreparedModel


class OnnxRuntimeBackend:
    """One single-threaded session per stream, so results do not depend on the number of streams."""

    name: BackendName = "onnxruntime"
    precisions: tuple[Precision, ...] = ("fp32", "int8")
    compiles_ahead = False

    def __init__(self) -> None:
        self.version = str(ort.__version__)
        self.device = cpu_name()
        self.architecture = cpu_architecture()

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        """See `Backend.open`."""
        if model.precision not in self.precisions:
            raise UsageError(
                f"ONNX Runtime has no {model.precision} on the CPU.", hint="Use precision fp32, or another backend."
            )
        try:
            slots = [_Slot(model, self._session(model, width, height)) for _ in range(streams)]
        except ONNXRUNTIME_ERRORS as exc:
            raise ModelRejected(
                f"ONNX Runtime does not take {model.onnx_path} at {width}x{height}: {exc}",
                hint="Try backend openvino.",
            ) from exc
        return PooledSession(model, width, height, slots)

    def _session(self, model: PreparedModel, width: int, height: int) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        sizes = model.variant.layout.shapes(width, height)
        for prefix, (rows, columns) in zip(("", "chroma_"), sizes[:2], strict=False):
            options.add_free_dimension_override_by_name(f"{prefix}rows", rows)
            options.add_free_dimension_override_by_name(f"{prefix}columns", columns)
        return ort.InferenceSession(str(model.onnx_path), options, providers=["CPUExecutionProvider"])


class _Slot:
    """The session of one stream."""

    def __init__(self, model: PreparedModel, session: ort.InferenceSession) -> None:
        self._names = model.variant.layout.names
        self._session = session

    def infer(self, planes: Planes, results: Planes) -> None:
        binding = self._session.io_binding()
        sources = [np.ascontiguousarray(plane) for plane in planes]
        targets: list[Plane] = [
            result if result.flags.c_contiguous else np.empty(result.shape, result.dtype) for result in results
        ]
        for name, source, target in zip(self._names, sources, targets, strict=True):
            for bind, value, array in (
                (binding.bind_input, name, source),
                (binding.bind_output, f"{name}_out", target),
            ):
                bind(value, "cpu", 0, array.dtype.type, [1, 1, *array.shape], array.ctypes.data)
        try:
            self._session.run_with_iobinding(binding)
        except ONNXRUNTIME_ERRORS as exc:
            raise ChunkFailed(f"ONNX Runtime broke off: {exc}", hint="The chunk can be tried again.") from exc
        for target, result in zip(targets, results, strict=True):
            if target is not result:
                np.copyto(result, target)
