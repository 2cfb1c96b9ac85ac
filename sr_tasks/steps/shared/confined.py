"""Runs a reading of a file that nobody vouches for in a process of its own, bounded in memory and time: it may break.

Only JSON comes back, and is checked. Limits are not a sandbox: the process has the rights of the one that asks.
"""

import ctypes
import json
import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import psutil
from loguru import logger
from pydantic import BaseModel, ValidationError

from sr_tasks.errors import InputInvalid, InputTooLarge, OutOfMemory, SrError, StepTimedOut, TransientError, error_of
from sr_tasks.telemetry.process_memory import process_memory

Result = TypeVar("Result", bound=BaseModel)

_FILES = 64
_MAX_ANSWER_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1
_GRACE_S = 5
LOOK_EVERY_S = 1.0
_NO_MEMORY = b'{"kind": "memory"}'
"""Made beforehand: a process without memory makes nothing any more."""
_ANOTHER = "Convert the file with another program first."


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the process may use: `memory_bytes` beyond what it begins with, `cpu_s` seconds of a core, and files of
    `written_bytes` each, if any."""

    memory_bytes: int
    cpu_s: int
    written_bytes: int = 0

    @property
    def still_s(self) -> float:
        """How long the process may make no use of a core at all: storage may be slow. One that gets little of a core,
        because many share it, does not stand still."""
        return self.cpu_s * 10.0


def confined(work: Callable[[], Result], kind: type[Result], path: Path, bounds: Bounds) -> Result:
    """What `work` gives when a forked process runs it; `path` is the file it reads.

    Raises what `work` raises, if that is in the error tree; InputInvalid if the process breaks down or does not end,
    InputTooLarge if it wants more memory, StepTimedOut if it stands still, TransientError if it is killed from outside.
    """
    parent, (reading, writing) = os.getpid(), os.pipe()
    pid = os.fork()
    if not pid:
        _be_confined(work, writing, bounds, parent)
    os.close(writing)
    try:
        answer = _answer(reading, pid, bounds.still_s)
    finally:
        # One that has answered is about to end anyway, and how one broke down is settled already.
        os.kill(pid, signal.SIGKILL)
        os.close(reading)
        _, status, usage = os.wait4(pid, 0)
    if answer is None:
        raise StepTimedOut(
            f"Reading {path.name} stood still for {bounds.still_s:.0f} s.", hint="See whether its storage answers."
        )
    return _understood(answer, os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, kind, path, bounds)


def _answer(reading: int, pid: int, still_s: float) -> bytes | None:
    """All that comes through the pipe, None if nothing comes and the process stands still for `still_s`."""
    answer, pipe = bytearray(), select.poll()
    pipe.register(reading, select.POLLIN)
    used, since = -1.0, time.monotonic()
    while time.monotonic() - since < still_s:
        if pipe.poll(min(LOOK_EVERY_S, still_s) * 1000):
            block = os.read(reading, _BLOCK_BYTES)
            if not block or len(answer) > _MAX_ANSWER_BYTES:
                return bytes(answer)
            answer += block
            since = time.monotonic()
        elif (now := _cpu_s(pid)) != used:
            used, since = now, time.monotonic()
    return None


def _cpu_s(pid: int) -> float:
    """Seconds of a core that a child has used. It is not reaped yet, and so is there."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _understood(
    answer: bytes, exit_code: int, cpu_s: float, kind: type[Result], path: Path, bounds: Bounds
) -> Result:  # fmt: skip
    try:
        told: dict[str, Any] = json.loads(answer) if answer else {}
        match told.get("kind"):
            case "result":
                return kind.model_validate(told["result"])
            case "error":
                raise error_of(told["code"], str(told["message"]), hint=str(told["hint"]))
            case "memory":
                raise _too_large(path, bounds)
            case "defect":
                logger.error("reading {} broke off: {}", path.name, told["trace"])
                raise SrError(
                    f"Reading {path.name} broke off with {told['what']}.",
                    hint="This is a defect of the program, not of the video: the log has the traceback.",
                )
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise InputInvalid(f"What reading {path.name} gave makes no sense.", hint=_ANOTHER) from exc
    raise _broken(path, exit_code, cpu_s, bounds)


def _too_large(path: Path, bounds: Bounds) -> InputTooLarge:
    return InputTooLarge(
        f"Reading the first frames of {path.name} takes more than {bounds.memory_bytes >> 20} MiB.",
        hint="Convert it first; if this machine has the memory, raise SR_MAX_TASK_BYTES or SR_MAX_PIXELS.",
    )


def _broken(path: Path, exit_code: int, cpu_s: float, bounds: Bounds) -> SrError:
    """Why there is no answer."""
    if exit_code == -signal.SIGXCPU or (exit_code == -signal.SIGKILL and cpu_s >= bounds.cpu_s):
        return InputInvalid(
            f"Reading {path.name} did not end within {bounds.cpu_s} s of work.", hint=f"It may be made to. {_ANOTHER}"
        )
    if exit_code == -signal.SIGKILL:
        return TransientError(
            f"The process that read {path.name} was killed from outside.", hint="See whether memory ran out."
        )
    how = signal.Signals(-exit_code).name if exit_code < 0 else f"exit code {exit_code}"
    return InputInvalid(f"FFmpeg breaks down ({how}) on {path.name}.", hint=_ANOTHER)


def _be_confined(work: Callable[[], BaseModel], writing: int, bounds: Bounds, parent: int) -> NoReturn:
    """The life of the forked process. Never returns into the program that it is a copy of."""
    try:
        _write(writing, _told(work, lambda: _confine(writing, bounds, parent)))
    except MemoryError:
        os.write(writing, _NO_MEMORY)
    finally:
        os._exit(1)


def _told(work: Callable[[], BaseModel], confine: Callable[[], None]) -> bytes:
    """The answer. Raises MemoryError."""
    try:
        confine()
        told: dict[str, Any] = {"kind": "result", "result": work().model_dump(mode="json")}
    except (MemoryError, OutOfMemory) as exc:
        raise MemoryError from exc
    except SrError as exc:
        told = {"kind": "error", **exc.as_dict()}
    except Exception as exc:
        told = {"kind": "defect", "what": type(exc).__name__, "trace": traceback.format_exc()}
    return json.dumps(told).encode()


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _confine(keep: int, bounds: Bounds, parent: int) -> None:
    """Give up what reading a file does not need, for good."""
    # Where lines go, a lock or a socket may be that another thread had in its hands when this process began.
    logger.disable("sr_tasks")
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU):
        signal.signal(each, signal.SIG_DFL)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    # Connections of the program are none of a decoder's business, nor may they stay open because of it.
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    os.closerange(3, keep)
    os.closerange(keep + 1, highest if 0 < highest < 1 << 20 else 1 << 20)
    _limit(resource.RLIMIT_NOFILE, max(_FILES, keep + _FILES))
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, bounds.written_bytes)
    _limit(resource.RLIMIT_CPU, bounds.cpu_s, bounds.cpu_s + _GRACE_S)
    _limit(resource.RLIMIT_DATA, _data_bytes() + bounds.memory_bytes)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit, never raise one."""
    ceiling = resource.getrlimit(which)[1]
    hard = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def _data_bytes() -> int:
    """Private memory that the process has as a copy of its parent; 0 where the system does not tell."""
    return process_memory("VmData")[0]
