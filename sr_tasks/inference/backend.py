"""The table of backends. A backend's library is imported when it is asked for, never before."""

from collections.abc import Callable
from typing import Final

from loguru import logger

from sr_tasks.errors import UsageError
from sr_tasks.graphs.runtime import Backend, Plane, Planes, Session, Window
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.backends.nvidia import Gpu

__all__ = ["BACKENDS", "CPU_BACKENDS", "Backend", "Plane", "Planes", "Session", "Window", "backend_for"]


def _tensorrt(gpu: Gpu | None) -> Backend:
    from sr_tasks.inference.backends.onnxruntime_gpu import TensorRtBackend

    return TensorRtBackend(gpu)


def _cuda(gpu: Gpu | None) -> Backend:
    from sr_tasks.inference.backends.onnxruntime_gpu import CudaBackend

    return CudaBackend(gpu)


def _openvino(_gpu: Gpu | None) -> Backend:
    from sr_tasks.inference.backends.openvino_backend import OpenVinoBackend

    return OpenVinoBackend()


def _onnxruntime(_gpu: Gpu | None) -> Backend:
    from sr_tasks.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend()


BACKENDS: Final[dict[str, Callable[[Gpu | None], Backend]]] = {
    "tensorrt": _tensorrt,
    "cuda": _cuda,
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
"""Fastest first: auto takes the first that this machine has."""

CPU_BACKENDS: Final = ("openvino", "onnxruntime")
"""Those that run everywhere."""


def backend_for(name: str, gpu: Gpu | None = None) -> Backend:
    """The backend of that name; one for GPUs is on `gpu`, or on the first there is. Steps get theirs from `lease`.

    Raises UsageError if there is none of that name, or if this machine lacks what it needs.
    """
    if name == "auto":
        return _first(gpu)
    if name not in BACKENDS:
        raise UsageError(f"There is no backend {name!r}.", hint=f"Known: {', '.join(sorted(BACKENDS))}.")
    try:
        return BACKENDS[name](gpu)
    except ImportError as exc:
        if isinstance(exc.__cause__, KeyboardInterrupt):
            # A library written in C++ says of a signal that arrives while it loads that it cannot be loaded.
            raise exc.__cause__ from None
        raise UsageError(
            f"The backend {name} cannot be loaded: {exc}.", hint="Install the packages of requirements.txt."
        ) from exc


def _first(gpu: Gpu | None) -> Backend:
    """The fastest backend this machine has; why it is no faster one is logged."""
    reasons: list[str] = []
    for name in BACKENDS:
        try:
            found = backend_for(name, gpu)
        except UsageError as exc:
            reasons.append(exc.message)
            continue
        # Where there is a GPU, somebody wants it used; elsewhere its absence is no news.
        level = "WARNING" if nvidia.visible() else "DEBUG"
        for reason in reasons:
            logger.log(level, "backend {} is used: {}", name, reason)
        return found
    raise UsageError(f"No backend can be used. {' '.join(reasons)}", hint="Install the packages of requirements.txt.")
