"""Walking a file packet by packet: time stamps in presentation order, counts, keyframes. Decodes nothing.

The facts of a source and its chunks both come from this walk, so they agree. Packets arrive in decoding order. A heap
of `_REORDER` packets sorts their time stamps, so memory does not grow with the length of the file. A file whose
packets do not say which frames come out is reported as irregular; `listing` then decodes it once. To support another
such codec, add its test to `_oddity_of`.
"""

import hashlib
import heapq
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sr_tasks.demux.changes import Changes, Look, alone
from sr_tasks.demux.clock import Clock
from sr_tasks.demux.field_pictures import FieldPictures
from sr_tasks.demux.sound import Wholeness
from sr_tasks.demux.source import has_times, translated
from sr_tasks.errors import InputUnsupported

_REORDER = 64
"""Packets held back to sort time stamps; four times the deepest reordering a codec allows."""
NULL_FRAME_BYTES = 8
"""A packet of MPEG-4 that is no larger holds no picture: it keeps the place of one packed into another."""
MPEG_VIDEO = ("mpeg1video", "mpeg2video")
_VP8_SHOW_FRAME = 0x10
"""Bit of a VP8 packet's first byte; without it the frame is a reference for others and not shown."""

_SEQUENCE, _EXTENSION = b"\0\0\1\xb3", b"\0\0\1\xb5"
"""Start codes of MPEG video: a sequence's header, and the extension behind it."""
_SEQUENCE_BYTES = 256


@dataclass(frozen=True, kw_only=True, order=True)
class FramePoint:
    """One frame, as its packet announces it."""

    pts: int
    duration: int
    is_keyframe: bool
    is_change: bool = False
    """Whether the picture begins here to have another size, format, scan or colours."""


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
    start_pts: int = 0
    _last: FramePoint | None = None
    _steps: tuple[int, int] = (1 << 62, 0)
    """The shortest and the longest."""
    _digest: PtsHash = field(default_factory=PtsHash)

    def add(self, point: FramePoint) -> None:
        self._digest.add(point.pts)
        if self._last is None:
            self.start_pts = point.pts
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
        rate = Fraction(self.frames) / ((last.pts + step - self.start_pts) * tick)
        return {
            "time_base": str(tick),
            "average_rate": str(rate.limit_denominator(1001)),
            "is_vfr": self.frames > 2 and _varies(shortest, longest, tick),
            "frames": self.frames,
            "start_pts": self.start_pts,
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
    size_bytes: int = 0
    start_s: float | None = None
    end_s: float = 0.0

    def add(self, packet: "Packet[Any]") -> None:
        self.packets += 1
        self.size_bytes += packet.size
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        at = float(stamp * packet.time_base)
        if self.start_s is None:
            self.start_s = at
        self.end_s = max(self.end_s, at + float((packet.duration or 0) * packet.time_base))


@dataclass(kw_only=True)
class Scan:
    """A file's packets, walked once. All but the stream and the file is complete when `points()` is exhausted."""

    container: InputContainer
    video: VideoStream
    path: Path
    first: Look | None = None
    """How the first picture looks. Without it, those that look otherwise are not counted."""
    fitted: int = 0
    """Packets of pictures that look otherwise than the first."""
    tallies: dict[int, StreamTally] = field(default_factory=dict)
    broken_sound: int = 0
    """Packets of sound that are not whole."""
    hidden: int = 0
    """Packets of the picture that the file's edit list hides."""
    duration: int = 0
    """Of the picture's last packet that has one, in ticks."""
    has_stamps: bool = False
    """Whether any packet of the picture has a time."""
    begins_at_keyframe: bool = True
    irregular: str = ""
    """Why the packets do not say what is shown when, in words that go on a sentence. Empty: they do."""

    def __post_init__(self) -> None:
        self._wholeness = Wholeness(self.container)
        self.clock = Clock(self.container, self.video.index)
        self._look = self.first
        self._changes = Changes(self.video.codec_context.name)
        self._oddity = _oddity_of(self.container, self.video)
        if not has_times(self.container):
            self.irregular = "has no times"

    def points(self) -> Iterator[FramePoint]:
        """The picture's frames in presentation order, as their packets announce them; one without a time is at 0. They
        do not ascend if the source is `irregular`. Raises InputInvalid for a file that breaks off."""
        waiting: list[FramePoint] = []
        last: int | None = None
        for point in chain(self._announced(), repeat(None)):
            if point is not None:
                heapq.heappush(waiting, point)
                if len(waiting) <= _REORDER:
                    continue
            elif not waiting:
                return
            first = heapq.heappop(waiting)
            if last is not None and first.pts <= last:
                at = float(first.pts * (self.video.time_base or Fraction(1)))
                self._found(f"has time stamps that do not ascend (near {at:.3f} s)")
            last = first.pts
            yield first

    def require_regular(self) -> None:
        """Raises InputUnsupported if the packets do not say what is shown when."""
        if self.irregular:
            raise InputUnsupported(
                f"{self.path.name} {self.irregular}.", hint="Remux it so that every frame has a time stamp of its own."
            )

    def _announced(self) -> Iterator[FramePoint]:
        """The picture's frames in the order of the file."""
        is_first = True
        with translated(self.path):
            for packet in self.container.demux():
                if packet.size == 0:
                    continue
                self.tallies.setdefault(packet.stream_index, StreamTally()).add(packet)
                self.clock.note(packet)
                self.broken_sound += self._wholeness.is_broken(packet)
                if packet.stream_index != self.video.index:
                    continue
                if is_first:
                    self.begins_at_keyframe, is_first = packet.is_keyframe, False
                self.hidden += packet.is_discard
                if not packet.is_discard:
                    yield self._point(packet)
        if self.clock.has_jumps:
            self._found("has time stamps that jump")

    def _point(self, packet: "Packet[Any]") -> FramePoint:
        if packet.pts is None:
            self._found("has frames without a time stamp")
        if self._oddity(packet):
            self._found("has packets that do not hold one frame each")
        self.has_stamps |= packet.pts is not None or packet.dts is not None
        self.duration = packet.duration or self.duration
        is_change = self._changes.begins(packet)
        if is_change and self.first is not None:
            self._look = alone(packet, self.video) or self._look
        self.fitted += self._look != self.first
        return FramePoint(
            pts=packet.pts or 0,
            duration=packet.duration or 0,
            is_keyframe=packet.is_keyframe,
            is_change=is_change,
        )

    def _found(self, what: str) -> None:
        self.irregular = self.irregular or what


def _oddity_of(container: InputContainer, video: VideoStream) -> Callable[["Packet[Any]"], bool]:
    """Tells packets that hold no frame of their own, or more than one."""
    codec = video.codec_context.name
    if container.format.name == "avi" and codec != "mpeg4":
        # AVI numbers frames. Where they are shown in another order, FFmpeg tells that one for MPEG-4 alone.
        return lambda packet: packet.pts != packet.dts
    if codec == "mpeg4":
        return lambda packet: packet.size <= NULL_FRAME_BYTES
    if codec == "vp8":
        return lambda packet: not bytes(memoryview(packet)[:1])[0] & _VP8_SHOW_FRAME
    if codec == "h264":
        return FieldPictures(video)
    if codec in MPEG_VIDEO:
        return _SequenceChange()
    return lambda packet: False


class _SequenceChange:
    """Tells where MPEG video goes on with another size, aspect or scan: the decoder starts anew there, and drops the
    picture that it still holds."""

    def __init__(self) -> None:
        self._first: tuple[bytes, int] | None = None

    def __call__(self, packet: "Packet[Any]") -> bool:
        if not packet.is_keyframe:
            return False
        head = bytes(memoryview(packet)[:_SEQUENCE_BYTES])
        at, extension = head.find(_SEQUENCE), head.find(_EXTENSION)
        if at < 0 or len(head) < at + 8:
            return False
        is_progressive = (
            head[extension + 5] & 8 if 0 <= extension < len(head) - 5 and head[extension + 4] >> 4 == 1 else 8
        )
        sequence = head[at + 4 : at + 7] + bytes([head[at + 7] >> 4]), is_progressive
        self._first = self._first or sequence
        return sequence != self._first
