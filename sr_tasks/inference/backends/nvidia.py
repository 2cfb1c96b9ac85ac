"""What the NVIDIA driver says of the first GPU. Asks the driver's own library; needs no CUDA toolkit, runs nothing."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

_NAME_BYTES = 128
_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """The first GPU that this process may use (CUDA_VISIBLE_DEVICES decides)."""

    name: str
    compute_capability: str
    driver: str
    memory_bytes: int


def probe() -> Gpu | None:
    """The GPU, or None on a machine without one or without its driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    count, device, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(_NAME_BYTES)
    calls: tuple[Callable[[], int], ...] = (
        lambda: cuda.cuInit(0),
        lambda: cuda.cuDeviceGetCount(ctypes.byref(count)) or (0 if count.value else 1),
        lambda: cuda.cuDeviceGet(ctypes.byref(device), 0),
        lambda: cuda.cuDeviceGetName(name, _NAME_BYTES, device),
        lambda: cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
    )
    if any(call() != 0 for call in calls):
        return None
    numbers = [ctypes.c_int(), ctypes.c_int()]
    for number, attribute in zip(numbers, (_COMPUTE_MAJOR, _COMPUTE_MINOR), strict=True):
        cuda.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=".".join(str(number.value) for number in numbers),
        driver=_driver_version(),
        memory_bytes=memory.value,
    )


def _driver_version() -> str:
    try:
        management = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return "unknown"
    version = ctypes.create_string_buffer(_NAME_BYTES)
    if management.nvmlInit_v2() != 0:
        return "unknown"
    found = management.nvmlSystemGetDriverVersion(version, _NAME_BYTES)
    management.nvmlShutdown()
    return version.value.decode(errors="replace") if found == 0 else "unknown"
