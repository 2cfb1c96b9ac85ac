"""Shows progress to a person: a bar on a terminal, plain lines anywhere else. Keeps no files."""

import math
import os
import time
from collections.abc import Callable
from typing import TextIO

from sr_tasks.telemetry.durations import on_a_clock
from sr_tasks.telemetry.progress import ChunkDone, Event, FramesDone, JobEnded, PhaseStarted, Progress

_ERASE_LINE = "\r\x1b[K"
_BAR_WIDTH = 24
_DEFAULT_COLUMNS = 80


def for_stream(stream: TextIO) -> Progress:
    """The observer that suits the stream."""
    return Bar(stream) if stream.isatty() else PlainLines(stream)


class PlainLines:
    """A line at the start of each phase, at most every `interval_s` seconds while frames are done, and at the end."""

    def __init__(self, stream: TextIO, *, interval_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._clock = clock
        self._phase = ""
        self._shown_at = -math.inf
        self._last: FramesDone | None = None

    def on_event(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._show_last()
                self._phase = event.phase
                self._line(event.phase)
                self._shown_at = self._clock()
            case FramesDone():
                self._last = event
                if self._clock() - self._shown_at >= self._interval_s:
                    self._show_last()
            case ChunkDone():
                if event.is_resumed:
                    self._line(f"chunk {event.index + 1} of {event.chunks} was done before")
            case JobEnded():
                self._show_last()
                self._line(event.status)

    def _show_last(self) -> None:
        if self._last is not None:
            self._line(f"{self._phase} {describe(self._last)}".strip())
            self._shown_at = self._clock()
            self._last = None

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class Bar:
    """One line that is drawn again, at most every `interval_s` seconds, with phase, frames, fps and time left."""

    def __init__(self, stream: TextIO, *, interval_s: float = 0.1, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._clock = clock
        self._phase = ""
        self._drawn_at = -math.inf

    def on_event(self, event: Event) -> None:
        match event:
            case PhaseStarted():
                self._phase = event.phase
                self._draw(event.phase)
            case FramesDone():
                if event.done >= event.total or self._clock() - self._drawn_at >= self._interval_s:
                    self._draw(f"{self._phase} {drawn(event)} {describe(event)}")
            case JobEnded():
                self._draw(event.status)
                self._write("\n")

    def _draw(self, text: str) -> None:
        self._drawn_at = self._clock()
        self._write(_ERASE_LINE + text[: _columns(self._stream) - 1])

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def describe(event: FramesDone) -> str:
    """`170/377 frames, 12.3 fps, 0:17 left`, without what is unknown."""
    parts = [f"{event.done}/{event.total} frames" if event.total > 0 else f"{event.done} frames"]
    if event.fps > 0:
        parts.append(f"{event.fps:.1f} fps")
        if event.done < event.total:
            parts.append(f"{on_a_clock((event.total - event.done) / event.fps)} left")
    return ", ".join(parts)


def drawn(event: FramesDone) -> str:
    """`[######------------------]  25 %`."""
    share = min(max(event.done / event.total, 0.0), 1.0) if event.total > 0 else 0.0
    filled = int(share * _BAR_WIDTH)
    return f"[{'#' * filled}{'-' * (_BAR_WIDTH - filled)}] {int(share * 100):3d} %"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or _DEFAULT_COLUMNS
    except (OSError, ValueError):
        return _DEFAULT_COLUMNS
