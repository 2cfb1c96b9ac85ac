"""ONNX Runtime of a machine with GPUs, replaced at the door: it notes what it was asked, and works on the CPU."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from sr_tasks.inference.backends import nvidia, onnxruntime_gpu
from sr_tasks.inference.backends.bound import BoundSlot
from sr_tasks.inference.backends.nvidia import Gpu

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


def gpu(ordinal: int = 0, uuid: str = "", name: str = "NVIDIA Test", gibibytes: int = 16) -> Gpu:
    return Gpu(
        ordinal=ordinal,
        uuid=uuid or f"00000000-0000-0000-0000-{ordinal:012}",
        name=name,
        compute_capability="9.0",
        driver="580.1",
        memory_bytes=gibibytes << 30,
    )


class FakeRuntime:
    """Stands for the module onnxruntime of a GPU machine; `broken` providers are there but do not load."""

    __version__ = onnxruntime.__version__
    SessionOptions = onnxruntime.SessionOptions
    OrtValue = onnxruntime.OrtValue

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.asked: list[tuple[str, list[Any]]] = []
        self.buffers_on: list[int] = []
        self.dumps_context = True

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]

    def preload_dlls(self) -> None:
        pass

    def InferenceSession(self, model: Any, options: Any = None, providers: Any = ()) -> Any:  # noqa: N802
        self.asked.append((str(model) if isinstance(model, str) else "probe", list(providers)))
        names = [one if isinstance(one, str) else one[0] for one in providers]
        for name, its in (one for one in providers if not isinstance(one, str)):
            if name == TENSORRT and its.get("trt_dump_ep_context_model") == "1" and self.dumps_context:
                Path(its["trt_ep_context_file_path"]).write_bytes(Path(model).read_bytes())
        session = onnxruntime.InferenceSession(model, options, providers=[CPU])
        loaded = [name for name in names if name not in self.broken] or [CPU]
        return SimpleNamespace(
            get_providers=lambda: loaded,
            io_binding=session.io_binding,
            run_with_iobinding=session.run_with_iobinding,
        )

    def devices(self) -> set[str]:
        """Every device that a session was to be opened on."""
        given = [one[1] for _, providers in self.asked for one in providers if not isinstance(one, str)]
        return {options["device_id"] for options in given}


def installed(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu) -> FakeRuntime:
    """A machine with these GPUs."""
    fake = FakeRuntime()

    def slot(*args: Any, device: str, ordinal: int) -> BoundSlot:
        fake.buffers_on.append(ordinal)
        # Buffers on a device that this machine does not have.
        return BoundSlot(*args, device="cpu")

    monkeypatch.setattr(onnxruntime_gpu, "ort", fake)
    monkeypatch.setattr(nvidia, "visible", lambda: gpus)
    monkeypatch.setattr(onnxruntime_gpu, "BoundSlot", slot)
    return fake
