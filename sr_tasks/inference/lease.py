"""Which GPU a process computes on: one that no other process has. Locks files of its own; opens no session.

A CPU is not leased: the system shares cores out among processes, and memory is bounded for each of them.
"""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import DeviceBusy
from sr_tasks.inference.backend import CPU_BACKENDS, Backend, backend_for
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.backends.nvidia import Gpu
from sr_tasks.storage import locks
from sr_tasks.storage.failures import writing
from sr_tasks.telemetry.statsd import Instruments

POLL_S = 0.2
_TOLD_EVERY_S = 15.0
_MAX_TEXT_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who asks for a GPU, for people to read."""

    job: str
    chunk: int | None = None


@dataclass(frozen=True, kw_only=True)
class Device:
    """A backend and the GPU it computes on; None for the CPU."""

    backend: Backend
    gpu: Gpu | None


@contextmanager
def leased_backend(name: str, settings: Settings, holder: Holder, *, like: str = "") -> Iterator[Device]:
    """The backend of that name (auto: the fastest). One for GPUs has a GPU that is this process's until the block ends.

    A GPU called `like` is taken rather than another: what was compiled for it is there. Raises what `backend_for` and
    `leased` raise.
    """
    gpus = _useful(name)
    if gpus:
        gpus = sorted(gpus, key=lambda gpu: gpu.name != like)
        with leased(gpus, settings.workdir / "leases", holder, wait_s=settings.gpu_wait_s) as lease:
            with Instruments(settings) as instruments:
                instruments.device_leased(lease.waited_s)
            backend = backend_for(name, lease.gpu)
            if backend.name not in CPU_BACKENDS:
                yield Device(backend=backend, gpu=lease.gpu)
                return
    yield Device(backend=backend_for(name), gpu=None)


def _useful(name: str) -> Sequence[Gpu]:
    """The GPUs worth waiting for: none for a backend of CPUs, nor where `auto` would not run on one anyway."""
    if name in CPU_BACKENDS:
        return ()
    if name == "auto":
        from sr_tasks.inference.backends import onnxruntime_gpu  # imports its runtime

        if not onnxruntime_gpu.is_installed():
            return ()
    return nvidia.visible()


@dataclass(frozen=True, kw_only=True)
class Lease:
    """A GPU that is this process's, and how long it was waited for."""

    gpu: Gpu
    waited_s: float


@contextmanager
def leased(gpus: Sequence[Gpu], folder: Path, holder: Holder, *, wait_s: float) -> Iterator[Lease]:
    """The first of `gpus` that no other process has, kept from them until the block ends or the process dies.

    A process that has one of them gets the same one again: sessions side by side share it. The lock is on
    `<folder>/<uuid>.lock`, so whoever shares the folder agrees, whatever numbers CUDA gives him. Raises DeviceBusy
    after `wait_s` seconds, DiskFull and TargetUnwritable if the folder cannot be written.
    """
    started = told = time.monotonic()
    while (held := _taken(gpus, folder, holder)) is None:
        waited = time.monotonic() - started
        if waited >= wait_s:
            raise DeviceBusy(
                f"No GPU was free for {waited:.0f} s: {_holders(gpus, folder)}.",
                hint="Give the pool gpu no more slots than there are GPUs, or raise SR_GPU_WAIT_S.",
            )
        if told == started or time.monotonic() - told >= _TOLD_EVERY_S:
            told = time.monotonic()
            logger.info("waiting for a GPU, {:.0f} s so far: {}", waited, _holders(gpus, folder))
        time.sleep(POLL_S)
    try:
        logger.debug("leased {} ({})", held.gpu.name, held.gpu.uuid)
        yield Lease(gpu=held.gpu, waited_s=time.monotonic() - started)
    finally:
        _give_back(held)


@dataclass(kw_only=True)
class _Held:
    """A lock that this process holds, for as many users."""

    gpu: Gpu
    path: Path
    handle: int
    users: int
    pid: int


_held: dict[Path, _Held] = {}
"""Locks belong to the process as a whole, and so does this."""
_held_lock = threading.Lock()


def _taken(gpus: Sequence[Gpu], folder: Path, holder: Holder) -> _Held | None:
    with _held_lock:
        paths = {_path(folder, gpu): gpu for gpu in gpus}
        for path in paths:
            mine = _held.get(path)
            # A forked process has the table of its parent, but the lease is not its own.
            if mine is not None and mine.pid == os.getpid():
                mine.users += 1
                return mine
        for path, gpu in paths.items():
            handle = _locked(path)
            if handle is None:
                continue
            _sign(handle, gpu, holder)
            _held[path] = _Held(gpu=gpu, path=path, handle=handle, users=1, pid=os.getpid())
            return _held[path]
    return None


def _give_back(held: _Held) -> None:
    with _held_lock:
        held.users -= 1
        if held.users:
            return
        del _held[held.path]
        # Emptied first: who reads it must not be told of somebody who has left.
        with contextlib.suppress(OSError):
            os.ftruncate(held.handle, 0)
        locks.release(held.handle)


def _path(folder: Path, gpu: Gpu) -> Path:
    return folder / f"{gpu.uuid}.lock"


def _locked(path: Path) -> int | None:
    """A handle on the lock, None if another process has it. The file stays: who removed it would let two in."""
    with writing(path):
        return locks.acquire(path, wait=False)


def _sign(handle: int, gpu: Gpu, holder: Holder) -> None:
    """Leave word of who has it. The lock is what counts: a full disk is no reason to give it up."""
    entry = {
        "job": holder.job,
        "chunk": holder.chunk,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": gpu.name,
    }
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(entry).encode(), 0)
    except OSError as exc:
        logger.warning("who leases {} could not be written down: {}", gpu.name, exc.strerror)


def _holders(gpus: Sequence[Gpu], folder: Path) -> str:
    return "; ".join(f"{gpu.name} {gpu.uuid} is held by {_holder(_path(folder, gpu))}" for gpu in gpus)


def _holder(path: Path) -> str:
    """In words; the file may be read while it is written."""
    try:
        entry = json.loads(path.read_bytes()[:_MAX_TEXT_BYTES])
        chunk = "" if entry["chunk"] is None else f", chunk {entry['chunk']}"
        return f"job {entry['job']}{chunk} (process {entry['pid']} on {entry['host']}, since {entry['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "a process that has not signed yet"
