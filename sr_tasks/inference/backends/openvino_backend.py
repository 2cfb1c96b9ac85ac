"""OpenVINO on the CPU. The only module that imports openvino; knows prepared models, not videos."""

from collections.abc import Sequence

import numpy as np
import openvino as ov
from openvino.passes import ConstantFolding, Manager

from sr_tasks.errors import ChunkFailed, ModelRejected
from sr_tasks.graphs.runtime import BackendName, Plane, Planes, Precision, Session
from sr_tasks.inference.backends.pool import PooledSession
from sr_tasks.inference.backends.processor import cpu_architecture
from sr_tasks.records.prepared import PreparedModel

_DEVICE = "CPU"


class OpenVinoBackend:
    """One infer request per stream; one CPU thread per request, so results do not depend on the number of streams."""

    name: BackendName = "openvino"
    compiles_ahead = False

    def __init__(self) -> None:
        self._core = ov.Core()
        self.version = str(ov.__version__)
        self.device = str(self._core.get_property(_DEVICE, "FULL_DEVICE_NAME")).strip()
        capabilities = self._core.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
        self.architecture = cpu_architecture()
        known: tuple[tuple[Precision, str], ...] = (("fp32", "FP32"), ("bf16", "BF16"), ("int8", "INT8"))
        self.precisions: tuple[Precision, ...] = tuple(one for one, theirs in known if theirs in capabilities)

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        """See `Backend.open`. At bf16 a model of luma computes only luma in it: the resampler of chroma keeps its
        exact weights, as colours would shift otherwise."""
        try:
            graph = self._read(model, width, height)
            is_luma = model.variant.color_range == 0
            if model.precision == "bf16" and is_luma and len(model.variant.layout.names) > 1:
                luma, chroma = _part(graph, ("y",)), _part(graph, ("u", "v"))
                compiled = [self._compile(luma, "bf16", streams), self._compile(chroma, "fp32", streams)]
            else:
                compiled = [self._compile(graph, model.precision, streams)]
            slots = [_Slot(model, width, height, compiled) for _ in range(streams)]
        except RuntimeError as exc:
            raise ModelRejected(
                f"OpenVINO does not take {model.onnx_path} at {width}x{height}: {_last_line(exc)}",
                hint="Try backend onnxruntime.",
            ) from exc
        return PooledSession(model, width, height, slots)

    def _read(self, model: PreparedModel, width: int, height: int) -> ov.Model:
        graph = self._core.read_model(model.onnx_path)
        shapes = model.variant.layout.shapes(width, height)
        graph.reshape({name: [1, 1, *shape] for name, shape in zip(model.variant.layout.names, shapes, strict=True)})
        return graph

    def _compile(self, graph: ov.Model, precision: Precision, streams: int) -> ov.CompiledModel:
        return self._core.compile_model(
            graph,
            _DEVICE,
            {
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": streams,
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
                "ENABLE_CPU_PINNING": False,
            },
        )


class _Slot:
    """The infer requests of one stream with the buffers for planes that cannot be used where they lie."""

    def __init__(self, model: PreparedModel, width: int, height: int, compiled: Sequence[ov.CompiledModel]) -> None:
        names = model.variant.layout.names
        self._requests = [one.create_infer_request() for one in compiled]
        of_input = {port.any_name: request for request in self._requests for port in request.model_inputs}
        of_output = {port.any_name: request for request in self._requests for port in request.model_outputs}
        self._inputs = [(name, of_input[name]) for name in names]
        self._outputs = [(f"{name}_out", of_output[f"{name}_out"]) for name in names]
        self._buffers: dict[str, Plane] = {}

    def infer(self, planes: Planes, results: Planes) -> None:
        try:
            self._infer(planes, results)
        except RuntimeError as exc:
            raise ChunkFailed(f"OpenVINO broke off: {_last_line(exc)}", hint="The chunk can be tried again.") from exc

    def _infer(self, planes: Planes, results: Planes) -> None:
        for (name, request), plane in zip(self._inputs, planes, strict=True):
            if plane.flags.c_contiguous and plane.flags.writeable:
                request.set_tensor(name, _shared(plane))
            else:
                buffer = self._buffer(name, plane)
                np.copyto(buffer, plane)
                request.set_tensor(name, _shared(buffer))
        targets = [
            result if result.flags.c_contiguous else self._buffer(name, result)
            for (name, _), result in zip(self._outputs, results, strict=True)
        ]
        for (name, request), target in zip(self._outputs, targets, strict=True):
            request.set_tensor(name, _shared(target))
        for request in self._requests:
            request.infer()
        for target, result in zip(targets, results, strict=True):
            if target is not result:
                np.copyto(result, target)

    def _buffer(self, name: str, like: Plane) -> Plane:
        if name not in self._buffers:
            self._buffers[name] = np.empty(like.shape, like.dtype)
        return self._buffers[name]


def _shared(plane: Plane) -> ov.Tensor:
    return ov.Tensor(plane.reshape(1, 1, *plane.shape), shared_memory=True)


def _part(graph: ov.Model, names: Sequence[str]) -> ov.Model:
    """The part of a graph of fixed size that makes these planes from themselves alone."""
    graph = graph.clone()
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(graph)
    results = [result for result in graph.get_results() if result.output(0).any_name.removesuffix("_out") in names]
    parameters = [parameter for parameter in graph.get_parameters() if parameter.output(0).any_name in names]
    return ov.Model(results, parameters, "_".join(names))


def _last_line(exc: BaseException) -> str:
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
    return lines[-1] if lines else type(exc).__name__
