"""Progress as typed events, and the observers that show it. Observers never break or slow the work they observe."""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loguru import logger

from sr_tasks.records.job import ChunkProgress


@dataclass(frozen=True, kw_only=True)
class PhaseStarted:
    """A job entered a phase: validating, upscaling, ..."""

    phase: str


@dataclass(frozen=True, kw_only=True)
class FramesDone:
    """`done` of `total` frames of the current phase are finished, lately at `fps` frames a second (0 if unknown)."""

    done: int
    total: int
    fps: float


@dataclass(frozen=True, kw_only=True)
class ChunkDone:
    """A chunk is committed; `is_resumed` if an earlier run had done so."""

    index: int
    chunks: int
    is_resumed: bool


@dataclass(frozen=True, kw_only=True)
class JobEnded:
    """The job is over: COMPLETED or FAILED."""

    status: str


Event = PhaseStarted | FramesDone | ChunkDone | JobEnded


class Progress(Protocol):
    """Whoever wants to know how far the work is."""

    def on_event(self, event: Event) -> None: ...


class Observers:
    """Passes events on to several observers. One that fails is logged and hears no more."""

    def __init__(self, observers: Sequence[Progress] = ()) -> None:
        self._observers = list(observers)

    def on_event(self, event: Event) -> None:
        for observer in list(self._observers):
            try:
                observer.on_event(event)
            except Exception:  # noqa: BLE001 (whatever it is, the work goes on)
                self._observers.remove(observer)
                logger.exception("the observer {} failed and is left out from now on", type(observer).__name__)


class ProgressFile:
    """Keeps the newest FramesDone in a small JSON file: done, total, fps, updated (seconds since 1970).

    A reader never sees half a file. It is written at most every `interval_s` seconds and once all frames are done, and
    is not flushed to disk: after a crash nobody needs it. Raises OSError if it cannot be written.
    """

    def __init__(self, path: Path, *, interval_s: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._interval_s = interval_s
        self._clock = clock
        self._written_at = -math.inf

    def on_event(self, event: Event) -> None:
        if not isinstance(event, FramesDone):
            return
        now = self._clock()
        if event.done < event.total and now - self._written_at < self._interval_s:
            return
        self._written_at = now
        record = ChunkProgress(done=event.done, total=event.total, fps=round(event.fps, 3), updated=time.time())
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.stem}.{os.getpid()}.partial{self._path.suffix}")
        partial.write_text(record.model_dump_json(), encoding="utf-8")
        os.replace(partial, self._path)
