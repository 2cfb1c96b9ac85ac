"""What a task may take of its machine: memory, open files, no core dumps. Limits this process; decides no retry.

CPU time is not limited: a step's threads add theirs up, and how much a step needs depends on the video. What stands
still ends by its execution_timeout.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, OutOfMemory, UsageError
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.machine import task_bytes
from sr_tasks.telemetry.process_memory import process_memory

GPU_QUEUE = "gpu"
_FILES = 4096
LEAST_BYTES = 64 << 20
_NEAR_SHARE = 0.125
"""Of the limit: codecs and runtimes ask for whole frames and layers at once."""


@contextmanager
def limited(settings: Settings, *, queue: str) -> Iterator[None]:
    """Hold the block to its limits, and turn what it raises for want of memory into OutOfMemory.

    Limits that are lower already stay. They are lifted afterwards, since a test may run a task in its own process.
    Raises UsageError where the memory is less than the program itself takes.
    """
    memory = task_bytes(settings.max_task_bytes)
    wanted = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: _FILES}
    if not _computes_on_gpu(settings, queue):
        # Not RLIMIT_AS: that counts libraries, and what runtimes reserve without ever touching it.
        wanted[resource.RLIMIT_DATA] = memory
        _require_room(memory)
    before = {which: resource.getrlimit(which) for which in wanted}
    try:
        try:
            for which, limit in wanted.items():
                resource.setrlimit(which, (_lower(limit, *before[which]), before[which][1]))
            yield
        finally:
            for which, limits in before.items():
                resource.setrlimit(which, limits)
    except (MemoryError, ChunkFailed, RuntimeError, ImportError, OSError) as exc:
        if not isinstance(exc, MemoryError) and not (resource.RLIMIT_DATA in wanted and _came_near(memory)):
            raise
        raise OutOfMemory(
            f"The task reached the {memory >> 20} MiB of memory it may have ({type(exc).__name__}: {exc}).",
            hint="Raise SR_MAX_TASK_BYTES if the machine has more, or make tiles smaller with SR_TILE_PX.",
        ) from exc


def _require_room(limit: int) -> None:
    """Python waits for ever for a thread that gets no memory at its start: better not to begin."""
    taken, _ = _memory()
    if limit < taken + LEAST_BYTES:
        raise UsageError(
            f"SR_MAX_TASK_BYTES={limit} is too little: the program alone takes {taken}.",
            hint="Give a task 2 GiB or more, or 0 for three quarters of what there is.",
        )


def _came_near(limit: int) -> bool:
    """Whether the process ever had about so much. Libraries say in many ways that they got no memory, or not at all."""
    return _memory()[1] > limit * (1 - _NEAR_SHARE)


def _memory() -> tuple[int, int]:
    """Private memory of this process in bytes, and about how much it had at most; 0 where the system does not tell."""
    data, size, peak = process_memory("VmData", "VmSize", "VmPeak")
    # The system keeps no peak of private memory; what was given back since the peak of all memory was mostly that.
    return data, data + peak - size


def _computes_on_gpu(settings: Settings, queue: str) -> bool:
    """There CUDA maps memory of the host and of the device by the gigabyte, which nobody can foretell."""
    if queue != GPU_QUEUE:
        return False
    from sr_tasks.inference.backend import CPU_BACKENDS  # loads numpy, which no Dag file may

    return settings.backend not in CPU_BACKENDS and nvidia.has_driver()


def _lower(*limits: int) -> int:
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
