"""Converting sound and text subtitles that an output's container does not hold, packet by packet."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Protocol

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from sr_tasks.errors import InputUnsupported
from sr_tasks.records.containers import QUICKTIME, is_lossless
from sr_tasks.streams.texts import TextConverter

_GAP_S = Fraction(1, 25)
"""Time stamps of sound may be off by that much, about a codec frame, before silence is put in or samples are cut."""
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 80_000}
"""Clean for any content, since nobody hears it twice as large, and everybody hears it too small."""
_OPUS_RATE = 48_000
_AAC_RATES = (32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
"""At lower ones FFmpeg's encoder is bad."""
_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_FORMATS = {"flac": ("s16", "s32"), "alac": ("s16p", "s32p")}
"""For 16 bits, and for more. Sound with loss, decoded to floating point, has no more."""


class Converter(Protocol):
    """Takes a source's packets, gives those of `stream`, in order."""

    @property
    def stream(self) -> Stream: ...

    def feed(self, packet: "Packet[Any]") -> Iterator["Packet[Any]"]: ...

    def flush(self) -> Iterator["Packet[Any]"]: ...


class Copy:
    """Packets as they are. `is_strict`: the muxer wants decoding times that ascend; in coarse ticks, such as
    Matroska's, packets of sound may have the same."""

    def __init__(self, stream: Stream, source: Stream, *, is_strict: bool) -> None:
        self.stream = stream
        self._end = _end_of(source)
        self._rate = source.codec_context.sample_rate if is_strict and isinstance(source, AudioStream) else 0
        self._last: Fraction | None = None

    def feed(self, packet: "Packet[Any]") -> Iterator["Packet[Any]"]:
        packet.stream = self.stream
        if self._end is not None and packet.pts is not None:
            left = int(self._end / packet.time_base) - packet.pts
            if 0 < left < (packet.duration or 0):
                packet.duration = left
        if self._rate and packet.dts is not None:
            self._ascend(packet, packet.dts * packet.time_base)
        yield packet

    def flush(self) -> Iterator["Packet[Any]"]:
        yield from ()

    def _ascend(self, packet: "Packet[Any]", at: Fraction) -> None:
        if self._last is not None and at <= self._last:
            at = self._last + Fraction(1, self._rate)
            shown = max(at, (packet.pts if packet.pts is not None else 0) * packet.time_base)
            length = (packet.duration or 0) * packet.time_base
            packet.time_base = Fraction(1, self._rate)
            packet.dts, packet.pts = round(at * self._rate), round(shown * self._rate)
            packet.duration = round(length * self._rate)
        self._last = at


def _end_of(source: Stream) -> Fraction | None:
    """When sound ends, in seconds, whose decoder goes by the length of the whole file (TTA): longer, and the last
    packet is none to it."""
    context, container = source.codec_context, source.container
    if context is None or context.name != "tta" or not isinstance(container, InputContainer) or not container.duration:
        return None
    return Fraction(container.duration, av.time_base)


def copied(source: Stream, output: OutputContainer) -> Converter:
    """Add a stream to `output` that holds the source's packets. Raises ValueError or FFmpegError if the container does
    not take it."""
    stream = output.add_stream_from_template(source, opaque=True)
    return Copy(stream, source, is_strict=output.format.name in QUICKTIME)


def converter(source: Stream, output: OutputContainer, encoder: str, bit_rate: int = 0) -> Converter:
    """Add a stream to `output` and say how to fill it. `bit_rate`: of sound, 0 for the usual. Raises
    ValueError or FFmpegError if the container or the encoder does not take it."""
    if isinstance(source, AudioStream):
        return SoundConverter(source, output, encoder, bit_rate)
    if isinstance(source, SubtitleStream):
        return TextConverter(source, output, encoder)
    raise InputUnsupported(f"Stream {source.index} ({source.type}) cannot be converted.")


class Continuous:
    """Decodes sound so that each frame begins where the one before ends: gaps become silence, overlaps are cut.

    Frames have `pts` in samples, from the first one's own time on. What cannot be decoded is a gap; AVI, which holds no
    times of sound, has no others.
    """

    def __init__(self) -> None:
        self._place: int | None = None
        self._is_lost = False

    def feed(self, packet: "Packet[Any]") -> Iterator[AudioFrame]:
        """The frames of one packet, with silence before them where there was a gap. An empty packet flushes."""
        try:
            for frame in packet.decode():
                if isinstance(frame, AudioFrame):
                    yield from self._fitted(frame, has_time=self._is_lost or not _is_avi(packet.stream))
                    self._is_lost = False
        except av.error.InvalidDataError:
            self._is_lost = True
        except av.error.EOFError:
            return

    def _fitted(self, frame: AudioFrame, *, has_time: bool) -> Iterator[AudioFrame]:
        rate = frame.sample_rate
        tick = frame.time_base or Fraction(1, rate)
        is_next = frame.pts is None or (self._place is not None and not has_time)
        at = self._place if is_next else round((frame.pts or 0) * tick * rate)
        if self._place is None:
            self._place = at or 0
        off = 0 if at is None else at - self._place
        if off > _GAP_S * rate:
            for length in _lengths(off, rate):
                yield self._placed(_silence(frame, length))
        elif -off > _GAP_S * rate:
            if -off >= frame.samples:
                return
            frame = _without_first(frame, -off)
        yield self._placed(frame)

    def _placed(self, frame: AudioFrame) -> AudioFrame:
        frame.pts, frame.time_base = self._place, Fraction(1, frame.sample_rate)
        self._place = (self._place or 0) + frame.samples
        return frame


class SoundConverter:
    """Sound, decoded and encoded anew, in step with the source."""

    def __init__(self, source: AudioStream, output: OutputContainer, encoder: str, bit_rate: int) -> None:
        context = source.codec_context
        stream = output.add_stream(encoder, rate=_rate(encoder, context.sample_rate))
        if not isinstance(stream, AudioStream):
            raise ValueError(f"{encoder} makes no sound")
        self.stream: AudioStream = stream
        target = stream.codec_context
        target.layout = _layout(context.layout)
        target.time_base = stream.time_base = Fraction(1, target.sample_rate)
        if encoder in _FORMATS:
            is_deep = is_lossless(context.name) or context.format.name.startswith("s32")
            target.format = _FORMATS[encoder][is_deep and not context.format.name.startswith(("u8", "s16"))]
        if encoder in _BITS_PER_CHANNEL:
            target.bit_rate = bit_rate or _BITS_PER_CHANNEL[encoder] * context.layout.nb_channels
        target.open()
        self._continuous = Continuous()
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def feed(self, packet: "Packet[Any]") -> Iterator["Packet[Any]"]:
        for frame in self._continuous.feed(packet):
            yield from self._encoded(self._resampled(frame))

    def flush(self) -> Iterator["Packet[Any]"]:
        if self._resampler is not None:
            yield from self._encoded(self._resampler.resample(None))
        yield from self._encoded([None])

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        """In the encoder's format; the source's own may change in the middle, as broadcasts do."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        left = self._resampler.resample(None) if self._resampler is not None and kind != self._kind else []
        if self._resampler is None or kind != self._kind:
            target = self.stream.codec_context
            self._resampler = AudioResampler(format=target.format, layout=target.layout, rate=target.sample_rate)
            self._kind = kind
        return left + self._resampler.resample(frame)

    def _encoded(self, frames: Sequence[AudioFrame | None]) -> Iterator["Packet[Any]"]:
        for frame in frames:
            for packet in self.stream.codec_context.encode(frame):
                packet.stream = self.stream
                yield packet


def _is_avi(stream: Stream) -> bool:
    return isinstance(stream.container, InputContainer) and stream.container.format.name == "avi"


def _rate(encoder: str, rate: int) -> int:
    """The sample rate that the encoder takes: the source's own, else the next higher one."""
    if encoder == "libopus":
        return _OPUS_RATE
    if encoder == "aac":
        return next((one for one in _AAC_RATES if one >= rate), _AAC_RATES[-1])
    return rate


def _layout(layout: AudioLayout) -> str:
    """FFmpeg's name of the channels. A source that only counts them has the usual ones."""
    is_known = not any(word in layout.name for word in ("channels", "unspecified")) or layout.nb_channels == 0
    return layout.name if is_known else _USUAL_LAYOUTS.get(layout.nb_channels, layout.name)


def _lengths(samples: int, longest: int) -> Iterator[int]:
    while samples > 0:
        yield min(samples, longest)
        samples -= longest


def _silence(like: AudioFrame, samples: int) -> AudioFrame:
    silent = AudioFrame(format=like.format.name, layout=like.layout.name, samples=samples)
    silent.sample_rate = like.sample_rate
    for plane in silent.planes:
        plane.update(bytes([0x80 if like.format.name.startswith("u8") else 0]) * plane.buffer_size)
    return silent


def _without_first(frame: AudioFrame, samples: int) -> AudioFrame:
    width = 1 if frame.format.is_planar else frame.layout.nb_channels
    rest: Any = np.ascontiguousarray(frame.to_ndarray()[:, samples * width :])
    cut = AudioFrame.from_ndarray(rest, format=frame.format.name, layout=frame.layout.name)
    cut.sample_rate = frame.sample_rate
    return cut
