"""How busy an NVIDIA GPU is while something runs on it, from the driver's own library. Decides nothing."""

import ctypes
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.telemetry.statsd import Instruments

EVERY_S = 10.0


@dataclass(frozen=True, kw_only=True)
class DeviceLoad:
    """One GPU at one moment: utilisation from 0 to 1, memory in bytes, whoever uses it."""

    index: int
    """The machine's number for it, as nvidia-smi shows it."""
    utilisation: float
    memory_used: int
    memory_total: int


class Driver(Protocol):
    """Who knows the GPUs of this machine."""

    def load(self, uuid: str) -> DeviceLoad | None:
        """Of one GPU; None of one that cannot say."""


class _Utilisation(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Nvml:
    """NVIDIA's management library. Raises OSError on a machine without it, or if it does not start."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libnvidia-ml.so.1")
        if code := self._library.nvmlInit_v2():
            raise OSError(f"NVML does not start, error {code}")

    def load(self, uuid: str) -> DeviceLoad | None:
        """Found by its UUID, since CUDA may count otherwise. A slice of a GPU (MIG) cannot say how busy it is."""
        handle, index, busy, memory = ctypes.c_void_p(), ctypes.c_uint(), _Utilisation(), _Memory()
        if (
            self._library.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(handle))
            or self._library.nvmlDeviceGetIndex(handle, ctypes.byref(index))
            or self._library.nvmlDeviceGetUtilizationRates(handle, ctypes.byref(busy))
            or self._library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        ):
            return None
        return DeviceLoad(
            index=index.value,
            utilisation=busy.gpu / 100,
            memory_used=int(memory.used),
            memory_total=int(memory.total),
        )


def nvidia() -> Driver | None:
    """The driver of this machine, or None where there is none."""
    try:
        return Nvml()
    except OSError:
        return None


@contextmanager
def watched(
    settings: Settings, uuid: str | None, driver: Driver | None = None, *, every_s: float = EVERY_S
) -> Iterator[None]:
    """Send the load of the GPU `uuid`, if there is one, and the free share of scratch, at once and every `every_s`
    seconds till the block ends.

    Does nothing without StatsD. What cannot be measured is logged once and not tried again; the work goes on.
    """
    if not settings.statsd_host:
        yield
        return
    driver = driver or nvidia() if uuid else None
    ended, instruments = threading.Event(), Instruments(settings)

    def measure() -> None:
        try:
            while True:
                _tell(instruments, settings.workdir, driver, uuid)
                if ended.wait(every_s):
                    return
        except Exception as exc:
            logger.opt(exception=exc).warning("the load of the devices is not measured any more: {}", exc)

    thread = threading.Thread(target=measure, name="devices", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        instruments.close()


def tell_disk(instruments: Instruments, workdir: Path) -> None:
    """The free share of the disk that scratch lies on. Raises OSError if there is no such folder."""
    disk = shutil.disk_usage(workdir)
    instruments.disk_measured(disk.free / max(disk.total, 1))


def _tell(instruments: Instruments, workdir: Path, driver: Driver | None, uuid: str | None) -> None:
    tell_disk(instruments, workdir)
    load = driver.load(uuid) if driver and uuid else None
    if load is not None:
        instruments.device_measured(
            load.index, utilisation=load.utilisation, memory_used=load.memory_used, memory_total=load.memory_total
        )
