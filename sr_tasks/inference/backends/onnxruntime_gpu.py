"""ONNX Runtime on an NVIDIA GPU, through its CUDA and its TensorRT provider. Knows prepared models, not videos."""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import io
import secrets
import shutil
from pathlib import Path
from typing import ClassVar

import onnxruntime as ort
from loguru import logger
from onnx import TensorProto, helper

from sr_tasks.errors import ModelRejected, UsageError
from sr_tasks.graphs.runtime import BackendName, Precision, Session
from sr_tasks.graphs.verify import ONNXRUNTIME_ERRORS
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.backends.bound import BoundSlot
from sr_tasks.inference.backends.nvidia import Gpu
from sr_tasks.inference.backends.pool import PooledSession
from sr_tasks.records.prepared import PreparedModel
from sr_tasks.storage.atomic import sync, write_text

_CUDA, _TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
_SLOTS = 2
"""One frame is copied while another is computed; more would only take memory."""
_WORKSPACE_BYTES = 4 << 30
_LIBRARIES = ("nvidia-cublas", "nvidia-cudnn-cu13", "tensorrt-cu13")
_HINT = "Install the packages of requirements-gpu.txt, or choose backend openvino."
_CONTEXT = "context.onnx"
_BUILT = "built"
_LOADING_ERRORS: tuple[type[Exception], ...] = (*ONNXRUNTIME_ERRORS, RuntimeError, ValueError)


class CudaBackend:
    """ONNX Runtime's own CUDA kernels and cuDNN; ready at once, for frames of any size."""

    name: BackendName = "cuda"
    precisions: tuple[Precision, ...] = ("fp32", "fp16")
    compiles_ahead = False
    provider: ClassVar[str] = _CUDA

    def __init__(self, gpu: Gpu | None = None) -> None:
        """On `gpu`, or on the first one there is. Raises UsageError, saying what is missing, where it does not run."""
        gpu = gpu or next(iter(nvidia.visible()), None)
        if gpu is None:
            raise UsageError(
                f"Backend {self.name} needs an NVIDIA GPU, and this machine's driver shows none.",
                hint="Choose backend openvino, or check nvidia-smi.",
            )
        self._gpu = gpu
        self.device = gpu.name
        self.version = str(ort.__version__)
        _require_provider(self.provider, gpu.ordinal)
        self.architecture = (
            f"compute {gpu.compute_capability}, driver {gpu.driver}, {gpu.memory_bytes >> 20} MiB, {_libraries()}"
        )

    def open(self, model: PreparedModel, width: int, height: int, *, streams: int = 1) -> Session:
        """See `Backend.open`."""
        if model.precision not in self.precisions:
            raise UsageError(
                f"Backend {self.name} has no {model.precision}.", hint=f"It has: {', '.join(self.precisions)}."
            )
        try:
            sessions = [self._session(model, width, height) for _ in range(min(streams, _SLOTS))]
            slots = [
                BoundSlot(session, model.variant, width, height, device="cuda", ordinal=self._gpu.ordinal)
                for session in sessions
            ]
        except ONNXRUNTIME_ERRORS as exc:
            raise ModelRejected(
                f"{self.provider} does not take {model.onnx_path} at {width}x{height}: {exc}",
                hint="Try another backend.",
            ) from exc
        return PooledSession(model, width, height, slots)

    def _session(self, model: PreparedModel, width: int, height: int) -> ort.InferenceSession:
        return _opened(model.onnx_path, model, width, height, [(_CUDA, cuda_options(model.precision, self._gpu))])


class TensorRtBackend(CudaBackend):
    """Engines that TensorRT builds for one size of frames, kept beside the model's file with the tactics timed."""

    name: BackendName = "tensorrt"
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "int8")
    compiles_ahead = True
    provider: ClassVar[str] = _TENSORRT

    def _session(self, model: PreparedModel, width: int, height: int) -> ort.InferenceSession:
        # An engine runs on the kind of GPU it was built for alone, and a fleet may have several.
        kind = hashlib.sha256(self.architecture.encode()).hexdigest()[:12]
        folder = model.onnx_path.parent / "engines" / f"{width}x{height}-{kind}"
        if not (folder / _BUILT).is_file():
            self._build(model, width, height, folder)
        # A context model holds the engine itself: nothing is parsed or optimised again.
        context = folder / _CONTEXT
        path = context if context.is_file() else model.onnx_path
        return self._with_engines(path, model, width, height, folder, dump=False)

    def _build(self, model: PreparedModel, width: int, height: int, folder: Path) -> None:
        """Build the engine under another name, so that a process that dies leaves nothing that looks whole."""
        logger.info("TensorRT builds an engine for {}x{}: this takes minutes, once", width, height)
        partial = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.partial")
        partial.mkdir(parents=True)
        try:
            self._with_engines(model.onnx_path, model, width, height, partial, dump=True)
            write_text(partial / _BUILT, self.architecture)
            for path in partial.iterdir():
                sync(path)
            if not folder.exists():
                partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _with_engines(
        self, path: Path, model: PreparedModel, width: int, height: int, folder: Path, *, dump: bool
    ) -> ort.InferenceSession:
        workspace = min(_WORKSPACE_BYTES, self._gpu.memory_bytes // 2)
        options = tensorrt_options(model, width, height, folder, self._gpu, workspace_bytes=workspace, dump=dump)
        # What TensorRT does not take goes to CUDA.
        cuda = cuda_options(model.precision, self._gpu)
        return _opened(path, model, width, height, [(_TENSORRT, options), (_CUDA, cuda)])


def is_installed() -> bool:
    """Whether the onnxruntime of this machine is one for GPUs; whether it runs shows when a backend is made."""
    return _CUDA in ort.get_available_providers()


def cuda_options(precision: Precision, gpu: Gpu) -> dict[str, str]:
    """Options of the CUDA provider. fp32 means it: TF32 would round to ten bits. ONNX Runtime keeps its own stream."""
    return {
        "device_id": str(gpu.ordinal),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "cudnn_conv_use_max_workspace": "1",
        "do_copy_in_default_stream": "1",
        "use_tf32": "0" if precision == "fp32" else "1",
    }


def tensorrt_options(
    model: PreparedModel, width: int, height: int, folder: Path, gpu: Gpu, *, workspace_bytes: int, dump: bool
) -> dict[str, str]:
    """Options of the TensorRT provider for frames of just this size: engines, tactics timed and, with `dump`, the
    context model go to `folder`."""
    shapes = zip(model.variant.layout.names, model.variant.layout.shapes(width, height), strict=True)
    profile = ",".join(f"{name}:1x1x{rows}x{columns}" for name, (rows, columns) in shapes)
    options = {
        "device_id": str(gpu.ordinal),
        "trt_fp16_enable": "1" if model.precision in ("fp16", "int8") else "0",
        "trt_int8_enable": "1" if model.precision == "int8" else "0",
        "trt_profile_min_shapes": profile,
        "trt_profile_opt_shapes": profile,
        "trt_profile_max_shapes": profile,
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        "trt_builder_optimization_level": "3",
        "trt_max_workspace_size": str(workspace_bytes),
        "trt_layer_norm_fp32_fallback": "1",
    }
    if dump:
        options |= {
            "trt_dump_ep_context_model": "1",
            "trt_ep_context_file_path": str(folder / _CONTEXT),
            # The engine goes into the file, so that it may be moved and shared.
            "trt_ep_context_embed_mode": "1",
        }
    return options


def _opened(
    path: Path, model: PreparedModel, width: int, height: int, providers: list[tuple[str, dict[str, str]]]
) -> ort.InferenceSession:
    """A session that runs on the first of `providers`. Raises UsageError where it silently would not."""
    options = ort.SessionOptions()
    for prefix, (rows, columns) in zip(("", "chroma_"), model.variant.layout.shapes(width, height)[:2], strict=False):
        options.add_free_dimension_override_by_name(f"{prefix}rows", rows)
        options.add_free_dimension_override_by_name(f"{prefix}columns", columns)
    session = ort.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    _require_first(session, providers[0][0])
    return session


def _require_first(session: ort.InferenceSession, provider: str, told: str = "") -> None:
    found = session.get_providers()
    if not found or found[0] != provider:
        why = next((f" ({line.strip()})" for line in told.splitlines() if line.startswith("Failed to load")), "")
        raise UsageError(
            f"ONNX Runtime has {provider}, but it does not load{why}: {', '.join(found)} would run instead.", hint=_HINT
        )


def _require_provider(provider: str, ordinal: int) -> None:
    """A library that is missing shows only when a session is made, and then as a quiet change to the CPU."""
    available = ort.get_available_providers()
    if provider not in available:
        raise UsageError(
            f"The onnxruntime {ort.__version__} that is installed has no {provider}, only {', '.join(available)}.",
            hint="Follow the three steps at the top of requirements-gpu.txt.",
        )
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # What is missing is only ever printed.
    with contextlib.redirect_stdout(io.StringIO()) as told:
        try:
            _load_libraries(tensorrt=provider == _TENSORRT)
            session = ort.InferenceSession(
                model.SerializeToString(), options, providers=[(provider, {"device_id": str(ordinal)})]
            )
        except _LOADING_ERRORS as exc:
            raise UsageError(f"{provider} does not load: {exc}", hint=_HINT) from exc
    _require_first(session, provider, told.getvalue())


def _load_libraries(*, tensorrt: bool) -> None:
    """Load CUDA and cuDNN, and TensorRT, from the wheels they came in: the loader does not look there by itself."""
    ort.preload_dlls()
    if tensorrt and importlib.util.find_spec("tensorrt") is not None:
        importlib.import_module("tensorrt")


def _libraries() -> str:
    installed = {package.name.lower(): package.version for package in importlib.metadata.distributions()}
    return ", ".join(f"{name} {installed[name]}" for name in _LIBRARIES if name in installed)
