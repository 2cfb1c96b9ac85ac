"""Text subtitles: read from any format, one after the other, and written in another."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

_DEFAULT_SHOWN_S = Fraction(5)
"""Of a subtitle that says nowhere when it ends."""
_SHORTEST_S = Fraction(1, 1000)
_NO_END_MS = 0xFFFFFFFF
_EVENT_FIELDS = 8
"""Fields of an ASS event, as FFmpeg hands it out, that stand before its text."""
_EVENT = b"0,0,Default,,0,0,0,,"
_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\nScaledBorderAndShadow: yes\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, "
    b"Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, "
    b"MarginL, MarginR, MarginV, Encoding\r\n"
    b"Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)
"""A plain style: with the source's own, encoders would write its font and colour into every line."""


@dataclass(frozen=True)
class Shown:
    """Text and when it is shown, in seconds. The text is that of an ASS event, with its styles."""

    start: Fraction
    end: Fraction
    text: bytes


class Texts:
    """Decodes subtitles. Where several are on the screen at once, each change of them is one `Shown` with all, since
    MP4 holds one text at a time. What is shown for less than a millisecond is seen by nobody, and left out."""

    def __init__(self, source: SubtitleStream) -> None:
        self._source = source
        self._active: list[Shown] = []
        self._at = Fraction(0)

    def feed(self, packet: "Packet[Any]") -> Iterator[Shown]:
        """What is complete once a packet has come."""
        if packet.size == 0 or packet.pts is None:
            return
        with contextlib.suppress(av.error.InvalidDataError):
            decoded = self._source.codec_context.decode2(packet)
            if decoded is None:
                return
            texts = [_text(rect) for rect in decoded if isinstance(rect, AssSubtitle)]
            start = max(packet.pts * packet.time_base, self._at)
            length = (packet.duration or 0) * packet.time_base or _shown_s(decoded)
            yield from self._until(start)
            if length >= _SHORTEST_S:
                self._active += [Shown(start, start + length, text) for text in texts if text.strip()]

    def flush(self) -> Iterator[Shown]:
        """What is left at the end."""
        yield from self._until(max((one.end for one in self._active), default=self._at))

    def _until(self, time: Fraction) -> Iterator[Shown]:
        while self._active and self._at < time:
            end = min(time, *(one.end for one in self._active))
            yield Shown(self._at, end, b"\\N".join(one.text for one in self._active))
            self._active = [one for one in self._active if one.end > end]
            self._at = end
        self._at = max(self._at, time)


class TextConverter:
    """Text subtitles in another format: times, lines, italics and the like are kept; fonts and places are not."""

    def __init__(self, source: SubtitleStream, output: OutputContainer, encoder: str) -> None:
        stream = output.add_stream(encoder)
        if not isinstance(stream, SubtitleStream):
            raise ValueError(f"{encoder} makes no subtitles")
        self.stream: SubtitleStream = stream
        self.stream.codec_context.subtitle_header = _ASS_HEADER
        self.stream.codec_context.open()
        self.stream.time_base = Fraction(1, 1000)
        self._texts = Texts(source)

    def feed(self, packet: "Packet[Any]") -> Iterator["Packet[Any]"]:
        for shown in self._texts.feed(packet):
            yield from self._encoded(shown)

    def flush(self) -> Iterator["Packet[Any]"]:
        for shown in self._texts.flush():
            yield from self._encoded(shown)

    def _encoded(self, shown: Shown) -> Iterator["Packet[Any]"]:
        start, end = round(shown.start * 1000), round(shown.end * 1000)
        packet = self.stream.codec_context.encode_subtitle(SubtitleSet.create(_EVENT + shown.text, 0, end - start))
        if packet.size and end > start:
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = end - start
            packet.stream = self.stream
            yield packet


def _text(event: AssSubtitle) -> bytes:
    fields = event.ass.split(b",", _EVENT_FIELDS)
    return fields[_EVENT_FIELDS] if len(fields) > _EVENT_FIELDS else b""


def _shown_s(decoded: SubtitleSet) -> Fraction:
    """How long a subtitle without a duration of its own is shown."""
    length_ms = decoded.end_display_time - decoded.start_display_time
    return Fraction(length_ms, 1000) if 0 < length_ms < _NO_END_MS else _DEFAULT_SHOWN_S
