"""Walking a file packet by packet: time stamps in presentation order, counts, keyframes. Decodes nothing."""

import hashlib
import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.source import translated

_REORDER = 64
"""Packets held back to sort time stamps; four times the deepest reordering a codec allows."""


@dataclass(frozen=True, kw_only=True, order=True)
class FramePoint:
    """One frame, as its packet announces it."""

    pts: int
    duration: int
    is_keyframe: bool


class PtsHash:
    """sha256 over time stamps as little-endian int64, in presentation order."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, pts: int) -> None:
        self._sha.update(struct.pack("<q", pts))

    def hexdigest(self) -> str:
        return self._sha.hexdigest()


@dataclass(kw_only=True)
class PointTally:
    """Facts of a picture's time stamps, gathered frame by frame."""

    frames: int = 0
    keyframes: int = 0
    _start: int = 0
    _last: FramePoint | None = None
    _steps: tuple[int, int] = (1 << 62, 0)
    """The shortest and the longest."""
    _digest: PtsHash = field(default_factory=PtsHash)

    def add(self, point: FramePoint) -> None:
        self._digest.add(point.pts)
        if self._last is None:
            self._start = point.pts
        else:
            step = point.pts - self._last.pts
            self._steps = min(self._steps[0], step), max(self._steps[1], step)
        self._last = point
        self.frames += 1
        self.keyframes += point.is_keyframe

    def facts(self, tick: Fraction) -> dict[str, Any]:
        """Fields of VideoInfo, for at least one frame in a time base of `tick` seconds."""
        last = self._last or FramePoint(pts=0, duration=0, is_keyframe=False)
        shortest, longest = self._steps
        step = last.duration or (shortest if self.frames > 1 else 1)
        rate = Fraction(self.frames) / ((last.pts + step - self._start) * tick)
        return {
            "time_base": str(tick),
            "average_rate": str(rate.limit_denominator(1001)),
            "is_vfr": self.frames > 2 and _varies(shortest, longest, tick),
            "frames": self.frames,
            "start_pts": self._start,
            "end_pts": last.pts + step,
            "keyframes": self.keyframes,
            "pts_sha256": self._digest.hexdigest(),
        }


def _varies(shortest: int, longest: int, tick: Fraction) -> bool:
    """Steps that differ by more than rounding to the tick, or to Matroska's millisecond, can explain."""
    return (longest - shortest) * tick > max(tick, Fraction(11, 10000)) and longest - shortest > 1


@dataclass(kw_only=True)
class StreamTally:
    """Running counts of one stream."""

    packets: int = 0
    start_s: float | None = None
    end_s: float = 0.0

    def add(self, packet: "Packet[Any]") -> None:
        self.packets += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        at = float(stamp * packet.time_base)
        if self.start_s is None:
            self.start_s = at
        self.end_s = max(self.end_s, at + float((packet.duration or 0) * packet.time_base))


@dataclass(kw_only=True)
class Scan:
    """A file's packets, walked once. `tallies` is complete when `points()` is exhausted."""

    container: InputContainer
    video: VideoStream
    path: Path
    tallies: dict[int, StreamTally] = field(default_factory=dict)

    def points(self) -> Iterator[FramePoint]:
        """The picture's frames in presentation order. Raises InputInvalid for a file that breaks off, InputUnsupported
        for time stamps that are missing or twice the same."""
        waiting: list[FramePoint] = []
        last: int | None = None
        with translated(self.path):
            for packet in self.container.demux():
                if packet.size == 0:
                    continue
                self.tallies.setdefault(packet.stream_index, StreamTally()).add(packet)
                if packet.stream_index != self.video.index or packet.is_discard:
                    continue
                heapq.heappush(waiting, self._point(packet))
                if len(waiting) > _REORDER:
                    point = heapq.heappop(waiting)
                    last = self._ascending(point, last)
                    yield point
        while waiting:
            point = heapq.heappop(waiting)
            last = self._ascending(point, last)
            yield point

    def _point(self, packet: "Packet[Any]") -> FramePoint:
        if packet.pts is None:
            raise InputUnsupported(
                f"{self.path.name} has frames without a time stamp.", hint="Remux it to .mkv or .mp4 first."
            )
        return FramePoint(pts=packet.pts, duration=packet.duration or 0, is_keyframe=packet.is_keyframe)

    def _ascending(self, point: FramePoint, last: int | None) -> int:
        if last is not None and point.pts <= last:
            at = float(point.pts * (self.video.time_base or Fraction(1)))
            raise InputUnsupported(
                f"The time stamps of {self.path.name} do not ascend (near {at:.3f} s).",
                hint="Remux the file so that every frame has a time stamp of its own.",
            )
        return point.pts
