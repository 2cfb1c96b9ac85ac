"""Trials: a stream's first packets, written to memory with an output's muxer and read back. Says what a container holds
before any work, since FFmpeg's muxers refuse some streams only when they write them."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger

from sr_tasks.demux.described import codec_name
from sr_tasks.demux.source import ENDLESS_S
from sr_tasks.errors import InputUnsupported
from sr_tasks.records.containers import MUXER_OPTIONS
from sr_tasks.streams.convert import converter, copied

_PACKETS = {"audio": 16, "subtitle": 8}
"""How many of each stream are tried; one of any other kind."""
_READ_BYTES = 64 << 20
"""How far a file is read for them. A stream that begins later is tried with its header alone."""


@dataclass(frozen=True)
class _Sample:
    """A copy of a packet: writing one changes it, and trials write it more than once."""

    data: bytes
    pts: int | None
    dts: int | None
    duration: int | None
    time_base: Fraction

    def packet(self, stream: Stream) -> "Packet[Any]":
        packet: Packet[Any] = Packet(self.data)
        packet.time_base, packet.pts, packet.dts = self.time_base, self.pts, self.dts
        packet.duration, packet.is_keyframe = self.duration or 0, True
        packet.stream = stream
        return timed(packet)


def timed(packet: "Packet[Any]") -> "Packet[Any]":
    """A packet of sound, subtitles or data with both its time stamps, where a demuxer gave one alone. A subtitle that
    stands until the next one has no duration, whatever number says so."""
    if packet.stream.type == "subtitle" and (packet.duration or 0) * packet.time_base >= ENDLESS_S:
        packet.duration = 0
    if packet.stream.type != "video":
        if packet.pts is None:
            packet.pts = packet.dts
        if packet.dts is None:
            packet.dts = packet.pts
    return packet


class Trials:
    """What a muxer takes of the streams of one source, whose first packets are read once."""

    def __init__(self, source: InputContainer, wanted: list[Stream], muxer: str) -> None:
        self._muxer = muxer
        self._samples = _first_packets(source, wanted)

    def takes_copy(self, stream: Stream) -> bool:
        """Whether the stream's packets fit as they are."""

        def write(output: OutputContainer) -> Stream:
            copy = copied(stream, output)
            for sample in self._samples.get(stream.index, ()):
                output.mux(list(copy.feed(sample.packet(stream))))
            return copy.stream

        return self._is_held(write, is_empty=not self._samples.get(stream.index))

    def takes_converted(self, stream: Stream, encoder: str, bit_rate: int = 0) -> bool:
        """Whether the stream can be decoded, and fits when it is encoded anew."""

        def write(output: OutputContainer) -> Stream:
            made = converter(stream, output, encoder, bit_rate)
            stream.codec_context.flush_buffers()
            for sample in self._samples.get(stream.index, ()):
                output.mux(list(made.feed(sample.packet(stream))))
            output.mux(list(made.flush()))
            return made.stream

        return self._is_held(write, is_empty=not self._samples.get(stream.index))

    def takes_time_code(self, time_code: str, rate: Fraction) -> bool:
        """Whether the muxer makes a time code track for a picture of that many frames a second."""

        def write(output: OutputContainer) -> Stream:
            picture = output.add_stream("mpeg4", rate=rate, width=16, height=16)
            if not isinstance(picture, VideoStream):
                raise ValueError("mpeg4 makes no video")
            picture.metadata["timecode"] = time_code
            output.mux(picture.encode(VideoFrame(16, 16, "yuv420p")))
            output.mux(picture.encode(None))
            return picture

        return [kind for kind, _ in self._read_back(write)[1]] == ["video", "data"]

    def _is_held(self, write: Callable[[OutputContainer], Stream], *, is_empty: bool) -> bool:
        written, found, packets = self._read_back(write)
        return found == [written] and (packets > 0 or is_empty)

    def _read_back(
        self, write: Callable[[OutputContainer], Stream]
    ) -> tuple[tuple[str, str], list[tuple[str, str]], int]:
        """Type and codec of the stream that `write` wrote, those of all streams that a reader finds, and how many
        packets it finds. No stream is found where FFmpeg refuses."""
        file = io.BytesIO()
        try:
            with av.open(file, "w", format=self._muxer, container_options=MUXER_OPTIONS.get(self._muxer, {})) as output:
                written = _identity(write(output))
            file.seek(0)
            with av.open(file, "r") as back:
                found = [_identity(stream) for stream in back.streams]
                packets = sum(packet.size > 0 for packet in back.demux())
        except (av.error.FFmpegError, ValueError, InputUnsupported) as exc:
            logger.debug("{} does not take it: {}", self._muxer, exc)
            return ("", ""), [], 0
        return written, found, packets


def _identity(stream: Stream) -> tuple[str, str]:
    context = stream.codec_context
    return stream.type, context.codec.canonical_name if context is not None else codec_name(stream)


def _first_packets(source: InputContainer, wanted: list[Stream]) -> dict[int, list[_Sample]]:
    missing = {stream.index: _PACKETS.get(stream.type, 1) for stream in wanted}
    samples: dict[int, list[_Sample]] = {}
    read = 0
    for packet in source.demux() if missing else ():
        read += packet.size
        if missing.get(packet.stream_index) and packet.size:
            samples.setdefault(packet.stream_index, []).append(_sample(packet))
            missing[packet.stream_index] -= 1
        if not any(missing.values()) or read > _READ_BYTES:
            break
    return samples


def _sample(packet: "Packet[Any]") -> _Sample:
    return _Sample(bytes(packet), packet.pts, packet.dts, packet.duration, packet.time_base)
