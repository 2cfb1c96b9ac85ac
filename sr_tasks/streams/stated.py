"""A stream to copy that states what its container is to say of the picture: static HDR metadata, where chroma lies,
projection and stereo. PyAV cannot give any of it to an output's stream, but copies what an input's stream has. So the
first packet of a chunk is read from a small Matroska file in memory that states it."""

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from sr_tasks.media.hdr import MasteringDisplay, content_light, mastering_display
from sr_tasks.records.containers import siting_is_stated, stated_view
from sr_tasks.records.media import FLAT, NO_HDR, HdrInfo, VideoInfo, ViewInfo

_CODEC_IDS = {
    "h264": b"V_MPEG4/ISO/AVC", "hevc": b"V_MPEGH/ISO/HEVC", "av1": b"V_AV1", "vp9": b"V_VP9", "prores": b"V_PRORES",
    "ffv1": b"V_FFV1",
}  # fmt: skip
_BY_TAG = b"V_MS/VFW/FOURCC"
"""Of every other codec: its four letters stand in a header as in AVI."""
_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT, _TRACKS, _CLUSTER = (bytes.fromhex(text) for text in ("18538067", "1654ae6b", "1f43b675"))


_SITINGS = {1: (1, 2), 2: (2, 2), 3: (1, 1), 4: (2, 1)}
"""AVChromaLocation -> ChromaSitingHorz and ChromaSitingVert. Matroska has no word for the bottom."""
_PROJECTIONS = {"equirectangular": 1, "tiled equirectangular": 1, "cubemap": 2}
_STEREO_MODES = {
    "side by side": (1, 11), "top and bottom": (3, 2), "frame sequence": (13, 14),
}  # fmt: skip
"""Matroska's numbers, with the left eye first and with the right one."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What a container is to say of a picture."""

    hdr: HdrInfo = NO_HDR
    chroma_location: int = 0
    """AVChromaLocation; 0: nothing is said."""
    view: ViewInfo = FLAT

    @classmethod
    def of(cls, video: VideoInfo, hdr: HdrInfo, codec: str, muxer: str, width: int) -> "Statement":
        """What an output of `width` px with that codec says of an enlarged `video`."""
        view = stated_view(video.view, muxer)
        return cls(
            hdr=hdr,
            chroma_location=video.chroma_location if siting_is_stated(codec, muxer, video) else 0,
            view=view.model_copy(update={"padding_px": view.padding_px * width // video.width}),
        )


@contextmanager
def stating(chunk: InputContainer, statement: Statement) -> Iterator[VideoStream]:
    """The picture stream of a chunk file, with what the container that it is copied to is to say of it."""
    stream = chunk.streams.video[0]
    if statement == Statement():
        yield stream
        return
    packet = next(bytes(packet) for packet in chunk.demux(stream) if packet.size)
    with av.open(
        io.BytesIO(_file(stream, packet, statement)),
        "r",
        format="matroska",
    ) as stated:
        yield stated.streams.video[0]


def _file(stream: VideoStream, packet: bytes, statement: Statement) -> bytes:
    context = stream.codec_context
    codec_id = _CODEC_IDS.get(context.codec.canonical_name, _BY_TAG)
    tag, private = str(context.codec_tag).encode("latin-1"), context.extradata or b""
    if codec_id == b"V_PRORES":
        private = tag
    if codec_id == _BY_TAG:
        sizes = (40 + len(private), context.width, context.height, 1, 24)
        private = struct.pack("<3I2H4s20x", *sizes, tag) + private
    video = _number("b0", context.width) + _number("ba", context.height)
    video += _element("55b0", _colour(statement)) + _view(statement.view)
    track = _number("d7", 1) + _number("73c5", 1) + _number("83", 1) + _element("86", codec_id)
    track += (_element("63a2", private) if private else b"") + _element("e0", video)
    block = b"\x81\x00\x00\x80" + packet
    header = _number("4286", 1) + _number("42f7", 1) + _element("4282", b"matroska") + _number("4287", 4)
    segment = _element(_TRACKS.hex(), _element("ae", track))
    segment += _element(_CLUSTER.hex(), _number("e7", 0) + _element("a3", block))
    return _element(_EBML.hex(), header) + _element(_SEGMENT.hex(), segment)


def _colour(statement: Statement) -> bytes:
    light, display = content_light(statement.hdr), mastering_display(statement.hdr)
    said = _number("55bc", light[0]) + _number("55bd", light[1]) if light else b""
    if statement.chroma_location in _SITINGS:
        across, down = _SITINGS[statement.chroma_location]
        said += _number("55b7", across) + _number("55b8", down)
    return said + (_element("55d0", _mastering(display)) if display else b"")


def _view(view: ViewInfo) -> bytes:
    said = b""
    if view.stereo != "mono":
        said += _number("53b8", _STEREO_MODES[view.stereo][view.is_right_first])
    if view.projection == "flat":
        return said
    left, top, right, bottom = view.bounds
    private = {
        "tiled equirectangular": struct.pack(">5I", 0, top, bottom, left, right),
        "cubemap": struct.pack(">3I", 0, 0, view.padding_px),
    }.get(view.projection, b"")
    sphere = _number("7671", _PROJECTIONS[view.projection]) + (_element("7672", private) if private else b"")
    for name, degrees in (("7673", view.yaw), ("7674", view.pitch), ("7675", view.roll)):
        sphere += _element(name, struct.pack(">d", degrees))
    return said + _element("7670", sphere)


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
