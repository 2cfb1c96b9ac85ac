"""The table of backends. A backend's library is imported when it is asked for, never before."""

from collections.abc import Callable
from typing import Final

from sr_tasks.errors import UsageError
from sr_tasks.models.runtime import Backend, Plane, Planes, Session

__all__ = ["BACKENDS", "Backend", "Plane", "Planes", "Session", "backend_for"]


def _openvino() -> Backend:
    from sr_tasks.inference.backends.openvino_backend import OpenVinoBackend

    return OpenVinoBackend()


def _onnxruntime() -> Backend:
    from sr_tasks.inference.backends.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend()


BACKENDS: Final[dict[str, Callable[[], Backend]]] = {"openvino": _openvino, "onnxruntime": _onnxruntime}


def backend_for(name: str) -> Backend:
    """The backend of that name. Raises UsageError if there is none, or if its library is not installed."""
    if name == "auto":
        name = "openvino"
    if name not in BACKENDS:
        raise UsageError(f"There is no backend {name!r}.", hint=f"Known: {', '.join(sorted(BACKENDS))}.")
    try:
        return BACKENDS[name]()
    except ImportError as exc:
        raise UsageError(
            f"The backend {name} cannot be loaded: {exc}.", hint="Install the packages of requirements.txt."
        ) from exc
