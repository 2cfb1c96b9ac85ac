"""Clocks of a file: where its times jump, and what is added behind a jump so that they go on. Looks at packets' times.

A jump is seen as players see it: times that go back by more than 0.1 s or, in formats made for broadcast and streaming,
forward by more than 10 s, unless sound goes on there: then the picture only stands for so long. All streams of a part
are moved by the same amount, so sound stays in step with the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from sr_tasks.demux.sound import Wholeness, heard
from sr_tasks.errors import InputUnsupported
from sr_tasks.records.media import ClockPart

BACK_S: Final = 0.1
FORWARD_S: Final = 10.0
_MAX_PARTS: Final = 10_000
_TS_DISCONT: Final = 0x0200
"""AVFMT_TS_DISCONT: a format whose times may jump in the middle of a file."""


@dataclass(kw_only=True)
class _Track:
    """A stream on its way through the parts of a file. All times in its own ticks."""

    tick: Fraction
    back: int
    forward: int | None
    part: int = 0
    last: int | None = None
    since: int = 0
    """Where it began to go on without a jump."""
    first_of: list[int] = field(default_factory=list)
    end_of: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, tick: Fraction, may_jump_forward: bool) -> "_Track":
        return cls(tick=tick, back=int(BACK_S / tick), forward=int(FORWARD_S / tick) if may_jump_forward else None)

    def jump(self, stamp: int) -> int:
        """-1 back, 1 forward, 0 none."""
        if self.last is None:
            return 0
        if stamp < self.last - self.back:
            return -1
        return int(self.forward is not None and stamp > self.last + self.forward)

    def enter(self, part: int, stamp: int) -> None:
        self.part = part
        while len(self.first_of) <= part:
            self.first_of.append(stamp)
            self.end_of.append(stamp)
        self.first_of[part] = self.end_of[part] = stamp


class Clock:
    """Told every packet of a file once, in order; knows then the parts."""

    def __init__(self, container: InputContainer, picture: int) -> None:
        self._picture = picture
        is_indexed = "mov" in container.format.name  # its edit lists say when what is shown
        self._is_discontinuous = bool(container.format.flags & _TS_DISCONT)
        self._tracks: dict[int, _Track | None] = {
            stream.index: _Track.of(stream.time_base, self._is_discontinuous)
            if stream.time_base is not None and not is_indexed and (stream.index == picture or stream.type == "audio")
            else None
            for stream in container.streams
        }
        self._is_back: list[bool] = [False]

    def note(self, packet: "Packet[Any]") -> None:
        """Raises InputUnsupported if the times jump without end."""
        stamp, track = packet.dts, self._tracks.get(packet.stream_index)
        if track is None or stamp is None:  # times of presentation alone go back and forth
            return
        jump = track.jump(stamp)
        if track.last is None or jump:
            track.since = stamp
        if jump > 0 and packet.stream_index == self._picture and self._is_heard_after(track):
            jump = 0
        if track.last is None:
            track.enter(0, stamp)
        elif jump and packet.stream_index == self._picture:
            self._is_back.append(jump < 0)
            track.enter(track.part + 1, stamp)
        elif jump < 0 or (jump > 0 and track.part + 1 < len(self._is_back)):
            track.enter(track.part + 1, stamp)
        track.last = stamp
        track.end_of[track.part] = max(track.end_of[track.part], stamp + (packet.duration or 0))
        if track.part > _MAX_PARTS:
            raise InputUnsupported(
                f"The time stamps jump more than {_MAX_PARTS} times.", hint="Remux the file with another program first."
            )

    def _is_heard_after(self, picture: _Track) -> bool:
        """Whether sound goes on where the picture's times jump forward: then the picture only stands for so long."""
        end = (picture.last or 0) * picture.tick
        return any(
            track.last is not None
            and track.since * track.tick <= end + 1
            and track.last * track.tick > end + FORWARD_S / 2
            for index, track in self._tracks.items()
            if track is not None and index != self._picture
        )

    @property
    def has_jumps(self) -> bool:
        return len(self._is_back) > 1

    def parts(self) -> tuple[ClockPart, ...]:
        """Empty if the picture's times do not jump."""
        picture = self._tracks.get(self._picture)
        if picture is None or not self.has_jumps:
            return ()
        shifts = [Fraction(0)]
        for part in range(1, len(self._is_back)):
            tracks = [t for t in self._tracks.values() if t is not None and len(t.first_of) > part]
            # What a jump forward leaves out is the same for all streams; recordings that were joined each have ends of
            # their own, and no stream may begin before it has ended.
            tracks = tracks if self._is_back[part] else [picture]
            gap = max((t.end_of[part - 1] - t.first_of[part]) * t.tick for t in tracks)
            shifts.append(shifts[-1] + -(-gap // picture.tick) * picture.tick)
        return tuple(
            ClockPart(first_s=float(first * picture.tick), last_s=float(end * picture.tick), shift=str(shift))
            for first, end, shift in zip(picture.first_of, picture.end_of, shifts, strict=True)
        )


def packets_on_one_clock(
    container: InputContainer, wanted: Sequence[Stream], parts: tuple[ClockPart, ...], picture: int
) -> Iterator["Packet[Any]"]:
    """Packets of the `wanted` streams in the order of the file, with times that go on where those of the file jump.
    `picture` is the index of the picture stream. Sound that is not whole or that an edit list hides is left out."""
    unrolled, wholeness = Unrolled(container, parts, picture), Wholeness(container)
    indexes = {stream.index for stream in wanted}
    last: dict[int, int] = {}
    for packet in heard(container.demux(list({*indexes, picture}) if parts else list(indexes))):
        if packet.size == 0 or wholeness.is_broken(packet):  # empty ones are sent at the end, to flush decoders
            continue
        unrolled.move(packet)
        if packet.stream_index not in indexes:
            continue
        if packet.stream.type == "audio" and packet.dts is not None:
            # Where sound was cut, its times may go back a little.
            packet.dts = max(packet.dts, last.get(packet.stream_index, packet.dts))
            packet.pts = packet.dts if packet.pts is None else max(packet.pts, packet.dts)
            last[packet.stream_index] = packet.dts
        yield packet


class Unrolled:
    """Moves packets, told in the order of the file, to where they belong on one clock. Needs those of the picture too:
    they say which part the file is in."""

    def __init__(self, container: InputContainer, parts: tuple[ClockPart, ...], picture: int) -> None:
        self._parts = parts
        self._shifts = [Fraction(part.shift) for part in parts]
        self._picture = picture
        self._types = {stream.index: stream.type for stream in container.streams}
        self._may_jump_forward = bool(container.format.flags & _TS_DISCONT)
        self._tracks: dict[int, _Track] = {}

    def move(self, packet: "Packet[Any]") -> None:
        """Change the time stamps of a packet in place."""
        if len(self._parts) < 2:
            return
        shift = round(self._shifts[self._part_of(packet, packet.dts)] / packet.time_base)
        packet.pts = packet.pts + shift if packet.pts is not None else None
        packet.dts = packet.dts + shift if packet.dts is not None else None

    def _part_of(self, packet: "Packet[Any]", stamp: int | None) -> int:
        current = self._tracks[self._picture].part if self._picture in self._tracks else 0
        track = self._tracks.get(packet.stream_index)
        if track is None:
            track = _Track.of(packet.time_base, self._may_jump_forward)
            track.part = current
            self._tracks[packet.stream_index] = track
        if stamp is None:
            return track.part
        jump, seconds = track.jump(stamp), float(stamp * packet.time_base)
        if packet.stream_index == self._picture:
            track.part += jump != 0 and self._begins_next(track, seconds)
        elif self._types[packet.stream_index] == "audio":
            is_next = jump < 0 or (jump > 0 and self._fits(track, seconds))
            track.part = min(track.part + is_next, len(self._parts) - 1)
        else:
            track.part = current
            if current and not self._is_within(current, seconds) and self._is_within(current - 1, seconds):
                track.part = current - 1
        track.last = stamp
        return track.part

    def _begins_next(self, track: _Track, seconds: float) -> bool:
        return track.part + 1 < len(self._parts) and self._parts[track.part + 1].first_s == seconds

    def _fits(self, track: _Track, seconds: float) -> bool:
        """Whether sound that jumps forward is in the next part."""
        return track.part + 1 < len(self._parts) and self._is_within(track.part + 1, seconds)

    def _is_within(self, part: int, seconds: float) -> bool:
        around = self._parts[part]
        return around.first_s - FORWARD_S <= seconds <= around.last_s + FORWARD_S
