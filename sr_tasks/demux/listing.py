"""Lists the frames that really come out of a picture stream, by decoding it once. Keeps facts, never frames.

Packets are numbered in the order of the file before they are decoded, and a decoded frame carries the number of its
packet. So what packets say of time has no say in what is shown, and in which order.
"""

import heapq
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.demux.changes import Look, look_of
from sr_tasks.demux.clock import Unrolled
from sr_tasks.demux.scan import NULL_FRAME_BYTES
from sr_tasks.demux.source import NOT_DECODED, translated
from sr_tasks.demux.stamps import Ascending
from sr_tasks.demux.timeline import CHANGED, DAMAGED, KEYFRAME, Row
from sr_tasks.records.media import ClockPart, Repair

Times = Literal["own", "order", "count"]
"""Where a frame's time stamp comes from. own: its packet. order: the n-th shown frame has the n-th decoding time, for
containers that number frames. count: each follows the one before, after as many fields as it is shown for."""

_REORDER: Final = 64
_REMEMBERED: Final = 512
"""Packets that may be decoded before one whose frame is shown."""


class _Seen(NamedTuple):
    ordinal: int
    pts: int | None
    dts: int | None
    stamp: int
    pos: int
    size: int
    is_keyframe: bool
    is_discard: bool
    fields: int
    """For how many it is shown."""
    is_damaged: bool = False
    is_change: bool = False


@dataclass(kw_only=True)
class Listing:
    """Yields the rows of a table. After that, `repairs()` says what was found. `step` is a frame in ticks."""

    container: InputContainer
    video: VideoStream
    path: Path
    times: Times
    step: int
    clock: tuple[ClockPart, ...] = ()
    _known: dict[int, _Seen] = field(default_factory=dict)
    _damaged: list[tuple[int, int, _Seen]] = field(default_factory=list)
    _first_keyframe: int | None = None
    _first: _Seen | None = None
    _look: tuple[Any, ...] | None = None
    _first_look: Look | None = None
    _counts: Counter[str] = field(default_factory=Counter)

    def rows(self) -> Iterator[Row]:
        ascending = Ascending[_Seen](step=self.step, repaired=self._counts)
        for pts, seen in ascending.repair(self._stamped(self._shown())):
            flags = KEYFRAME * seen.is_keyframe | DAMAGED * seen.is_damaged | CHANGED * seen.is_change
            yield Row(pts, seen.ordinal, seen.pos, seen.stamp, seen.size, flags)

    def repairs(self) -> tuple[Repair, ...]:
        """What was done about what was found, once all rows were read."""
        found = [
            Repair(kind=kind, count=self._counts[name], what=what.format(self._counts[name]))
            for name, (kind, what) in _REPAIRS.items()
            if self._counts[name] and not (self.times != "own" and name in ("missing", "equal", "descending"))
        ]
        if len(self.clock) > 1:
            jumps = len(self.clock) - 1
            what = f"times jump at {jumps} places; what follows was moved so that all streams go on without a break"
            found.append(Repair(kind="jumping-times", count=jumps, what=what))
        return tuple(found)

    def _shown(self) -> Iterator[_Seen]:
        """What comes out, in the order of display."""
        self.video.codec_context.thread_count = 1
        unrolled = Unrolled(self.container, self.clock, self.video.index)
        ordinal = 0
        with translated(self.path):
            for packet in self.container.demux() if self.clock else self.container.demux(self.video):
                stamp = packet.dts if packet.dts is not None else packet.pts
                unrolled.move(packet)
                if packet.stream.index != self.video.index:
                    continue
                seen = self._noted(packet, ordinal, stamp) if packet.size else None
                packet.pts = packet.dts = ordinal
                ordinal += 1
                try:
                    frames = self.video.codec_context.decode(packet)
                except NOT_DECODED:
                    self._broken(seen)
                    continue
                for frame in frames:
                    yield from self._came_out(frame)
        self._forget(before=ordinal + 1)
        yield from (heapq.heappop(self._damaged)[2] for _ in range(len(self._damaged)))

    def _noted(self, packet: "Packet[Any]", ordinal: int, stamp: int | None) -> _Seen:
        seen = _Seen(
            ordinal, packet.pts, packet.dts, -1 if stamp is None else stamp,
            -1 if packet.pos is None else packet.pos, packet.size, packet.is_keyframe, packet.is_discard,
            self._fields(packet),
        )  # fmt: skip
        if seen.is_keyframe and self._first_keyframe is None:
            self._first_keyframe = ordinal
        self._counts["null"] += seen.size <= NULL_FRAME_BYTES and self.video.codec_context.name == "mpeg4"
        self._counts["hidden"] += seen.is_discard
        self._known[ordinal] = seen
        self._forget(before=ordinal - _REMEMBERED)
        return seen

    def _forget(self, *, before: int) -> None:
        """Let go of packets that can show nothing any more."""
        for ordinal in [ordinal for ordinal in self._known if ordinal < before]:
            seen = self._known.pop(ordinal)
            self._counts["lead-in"] += not seen.is_discard and self._is_before_first(seen)

    def _broken(self, seen: _Seen | None) -> None:
        """A packet that does not decode keeps its place, once pictures have begun."""
        if seen is not None and not seen.is_discard and not self._is_before_first(seen):
            del self._known[seen.ordinal]
            heapq.heappush(self._damaged, (self._place(seen), seen.ordinal, seen._replace(is_damaged=True)))

    def _place(self, seen: _Seen) -> int:
        return seen.pts if self.times == "own" and seen.pts is not None else seen.ordinal

    def _came_out(self, frame: VideoFrame) -> Iterator[_Seen]:
        seen = self._known.pop(frame.pts, None) if frame.pts is not None else None
        if seen is None:
            return
        if self._first is None:
            if frame.is_corrupt or seen.ordinal < (self._first_keyframe or 0):
                self._counts["lead-in"] += 1
                return
            self._first = seen
        while self._damaged and self._damaged[0][0] < self._place(seen):
            yield heapq.heappop(self._damaged)[2]
        yield seen._replace(is_change=self._looks(frame))

    def _looks(self, frame: VideoFrame) -> bool:
        """Whether a frame looks otherwise than the one before."""
        look = look_of(frame)
        self._first_look = self._first_look or look
        self._counts["fitted"] += look != self._first_look
        tags = frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc
        before, self._look = self._look, (look, frame.interlaced_frame, tags)
        return before is not None and self._look != before

    def _is_before_first(self, seen: _Seen) -> bool:
        """Whether a packet belongs to the lead-in: what was to be shown before the first picture that decodes."""
        if self._first is None or seen.ordinal < self._first.ordinal:
            return True
        if self.times != "own" or seen.pts is None or self._first.pts is None:
            return False
        return seen.pts < self._first.pts

    def _fields(self, packet: "Packet[Any]") -> int:
        """Elementary streams of MPEG video say it, and FFmpeg makes durations of it."""
        rate = self.video.codec_context.framerate
        if self.times != "count" or self.step == 1 or not rate or not packet.duration:
            return 2
        return max(2, round(2 * packet.duration * packet.time_base * rate))

    def _stamped(self, shown: Iterator[_Seen]) -> Iterator[tuple[int | None, _Seen]]:
        if self.times == "own":
            yield from ((seen.pts, seen) for seen in shown)
        elif self.times == "count":
            at = 0
            for seen in shown:
                yield at, seen
                at += self.step * seen.fields // 2
        else:
            yield from _in_order(shown)


def _in_order(shown: Iterator[_Seen]) -> Iterator[tuple[int | None, _Seen]]:
    """The n-th frame in the order of display with the n-th time in the order of decoding."""
    waiting: deque[_Seen] = deque()
    times: list[tuple[int, int, int | None]] = []
    for number, seen in enumerate(shown):
        waiting.append(seen)
        heapq.heappush(times, (seen.ordinal, number, seen.dts))
        if len(waiting) > _REORDER:
            yield heapq.heappop(times)[2], waiting.popleft()
    while waiting:
        yield heapq.heappop(times)[2], waiting.popleft()


FITTED: Final = "fitted-frames", "{} frames have another size or pixel format than the first, and were made like it"

_REPAIRS: Final = {
    "lead-in": ("lead-in", "{} frames at the start cannot be decoded without what came before them, and were left out"),
    "missing": ("missing-stamps", "{} frames without a time stamp got one at the frame rate"),
    "equal": ("equal-stamps", "{} frames with the time stamp of the frame before got one of their own"),
    "descending": ("descending-stamps", "{} frames with a time stamp out of order got one between their neighbours"),
    "null": ("packed-frames", "{} frames were packed into the packet of another, and were shown at their own times"),
    "fitted": FITTED,
    "hidden": ("hidden-frames", "{} frames are hidden by the edit list, and were left out as players do"),
}
