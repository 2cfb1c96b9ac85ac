"""What the NVIDIA driver says of the GPUs. Asks the driver's own library; needs no CUDA toolkit, runs nothing."""

import ctypes
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_NAME_BYTES = 128
_UUID_BYTES = 16
_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU, or a slice of one, that this process may use."""

    ordinal: int
    """What CUDA calls it in this process; in another the same number may be another GPU."""
    uuid: str
    """The device itself, whoever asks: of the GPU, or of its slice where it is cut (MIG)."""
    name: str
    compute_capability: str
    driver: str
    memory_bytes: int


def has_driver() -> bool:
    """Whether the driver is installed; cheap, and starts nothing."""
    return _loaded("libcuda.so.1") is not None


def visible() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, in CUDA's order; none on a machine without one or without its driver.

    CUDA_VISIBLE_DEVICES decides, whether it names numbers, UUIDs or MIG slices: the driver itself reads it.
    """
    cuda, count = _loaded("libcuda.so.1"), ctypes.c_int()
    if cuda is None or cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    driver = _driver_version() if count.value else ""
    found = (_described(cuda, ordinal, driver) for ordinal in range(count.value))
    return tuple(gpu for gpu in found if gpu is not None)


def _described(cuda: Any, ordinal: int, driver: str) -> Gpu | None:
    """What the driver says of one GPU; None of one that does not answer."""
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name, identity = ctypes.create_string_buffer(_NAME_BYTES), ctypes.create_string_buffer(_UUID_BYTES)
    major, minor = ctypes.c_int(), ctypes.c_int()
    calls: tuple[Callable[[], int], ...] = (
        lambda: cuda.cuDeviceGet(ctypes.byref(device), ordinal),
        lambda: cuda.cuDeviceGetName(name, _NAME_BYTES, device),
        # The second version tells a MIG slice by its own identity, the first by that of the GPU around it.
        lambda: cuda.cuDeviceGetUuid_v2(identity, device),
        lambda: cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        lambda: cuda.cuDeviceGetAttribute(ctypes.byref(major), _COMPUTE_MAJOR, device),
        lambda: cuda.cuDeviceGetAttribute(ctypes.byref(minor), _COMPUTE_MINOR, device),
    )
    if any(call() != 0 for call in calls):
        return None
    return Gpu(
        ordinal=ordinal,
        uuid=str(uuid.UUID(bytes=identity.raw)),
        name=name.value.decode(errors="replace"),
        compute_capability=f"{major.value}.{minor.value}",
        driver=driver,
        memory_bytes=memory.value,
    )


def _loaded(library: str) -> Any | None:
    try:
        return ctypes.CDLL(library)
    except OSError:
        return None


def _driver_version() -> str:
    management = _loaded("libnvidia-ml.so.1")
    version = ctypes.create_string_buffer(_NAME_BYTES)
    if management is None or management.nvmlInit_v2() != 0:
        return "unknown"
    found = management.nvmlSystemGetDriverVersion(version, _NAME_BYTES)
    management.nvmlShutdown()
    return version.value.decode(errors="replace") if found == 0 else "unknown"
