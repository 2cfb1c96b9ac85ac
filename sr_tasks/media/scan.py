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
