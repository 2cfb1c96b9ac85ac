"""A stream to copy that has static HDR metadata: PyAV cannot give any to an output's stream, but copies what an input's
stream has. So the first packet of a chunk is read from a small Matroska file in memory that states the metadata."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from sr_tasks.media.hdr import MasteringDisplay, content_light, mastering_display
from sr_tasks.records.media import NO_HDR, HdrInfo

_CODEC_IDS = {
    "h264": b"V_MPEG4/ISO/AVC", "hevc": b"V_MPEGH/ISO/HEVC", "av1": b"V_AV1", "vp9": b"V_VP9", "prores": b"V_PRORES",
    "ffv1": b"V_FFV1",
}  # fmt: skip
_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT, _TRACKS, _CLUSTER = (bytes.fromhex(text) for text in ("18538067", "1654ae6b", "1f43b675"))


@contextmanager
def with_hdr(chunk: InputContainer, hdr: HdrInfo) -> Iterator[VideoStream]:
    """The picture stream of a chunk file, with the metadata at hand for the container that it is copied to."""
    stream = chunk.streams.video[0]
    if hdr == NO_HDR:
        yield stream
        return
    packet = next(bytes(packet) for packet in chunk.demux(stream) if packet.size)
    with av.open(
        io.BytesIO(_file(stream, _CODEC_IDS[stream.codec_context.codec.canonical_name], packet, hdr)),
        "r",
        format="matroska",
    ) as stated:
        yield stated.streams.video[0]


def _file(stream: VideoStream, codec_id: bytes, packet: bytes, hdr: HdrInfo) -> bytes:
    context = stream.codec_context
    private = context.extradata or b""
    if codec_id == b"V_PRORES":
        private = str(context.codec_tag).encode("latin-1")
    video = _number("b0", context.width) + _number("ba", context.height) + _element("55b0", _colour(hdr))
    track = _number("d7", 1) + _number("73c5", 1) + _number("83", 1) + _element("86", codec_id)
    track += (_element("63a2", private) if private else b"") + _element("e0", video)
    block = b"\x81\x00\x00\x80" + packet
    header = _number("4286", 1) + _number("42f7", 1) + _element("4282", b"matroska") + _number("4287", 4)
    segment = _element(_TRACKS.hex(), _element("ae", track))
    segment += _element(_CLUSTER.hex(), _number("e7", 0) + _element("a3", block))
    return _element(_EBML.hex(), header) + _element(_SEGMENT.hex(), segment)


def _colour(hdr: HdrInfo) -> bytes:
    light, display = content_light(hdr), mastering_display(hdr)
    stated = _number("55bc", light[0]) + _number("55bd", light[1]) if light else b""
    return stated + (_element("55d0", _mastering(display)) if display else b"")


def _mastering(display: MasteringDisplay) -> bytes:
    stated: dict[str, Fraction] = {}
    if display.has_primaries:
        points = (*display.red, *display.green, *display.blue, *display.white)
        stated |= dict(zip(("55d1", "55d2", "55d3", "55d4", "55d5", "55d6", "55d7", "55d8"), points, strict=True))
    if display.has_luminance:
        stated |= {"55d9": display.max_luminance, "55da": display.min_luminance}
    return b"".join(_element(name, struct.pack(">d", float(value))) for name, value in stated.items())


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(name: str, content: bytes) -> bytes:
    """An EBML element: its id, its size in eight bytes, its content."""
    return bytes.fromhex(name) + (1 << 56 | len(content)).to_bytes(8, "big") + content
