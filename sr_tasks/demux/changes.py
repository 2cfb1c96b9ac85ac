"""Where a picture stream goes on in another size, pixel format, scan or colours, as the headers in its packets tell."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sr_tasks.demux.source import NOT_DECODED

_HEAD_BYTES: Final = 4096
"""Headers lie at the beginning of a packet."""
_START: Final = b"\0\0\1"
_KEPT_NALS: Final = {"h264": frozenset({7}), "hevc": frozenset({33})}
"""Sequence parameter sets."""
_AV1_SEQUENCE: Final = 1


class Look(NamedTuple):
    """What frames have to have in common."""

    width: int
    height: int
    pix_fmt: str


class Changes:
    """Tells, packet by packet in the order of the file, where one begins something else than those before it."""

    def __init__(self, codec: str) -> None:
        self._header = _HEADERS.get(codec, _nothing)
        self._last = b""

    def begins(self, packet: "Packet[Any]") -> bool:
        """False where the headers say nothing, as in most packets."""
        is_new = packet.has_sidedata("new_extradata")
        if not packet.is_keyframe:
            return is_new
        header = self._header(bytes(memoryview(packet)[:_HEAD_BYTES]))
        before, self._last = self._last, header or self._last
        return is_new or bool(header and before and header != before)


def alone(packet: "Packet[Any]", video: VideoStream) -> Look | None:
    """How the picture of a keyframe looks, None if it does not decode alone."""
    decoder = VideoCodecContext.create(video.codec_context.codec, "r")
    if not isinstance(decoder, VideoCodecContext):
        return None
    decoder.extradata, decoder.thread_count = video.codec_context.extradata, 1
    try:
        for frame in (*decoder.decode(packet), *decoder.decode(None)):
            return look_of(frame)
    except NOT_DECODED:
        pass
    return None


def look_of(frame: VideoFrame) -> Look:
    return Look(frame.width, frame.height, frame.format.name)


def _nothing(data: bytes) -> bytes:
    return b""


def _nals(codec: str) -> Callable[[bytes], bytes]:
    def kind(nal: bytes) -> int:
        return nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63

    def header(data: bytes) -> bytes:
        is_marked = data.startswith((_START, b"\0" + _START))
        units = (nal.rstrip(b"\0") for nal in data.split(_START)[1:]) if is_marked else _counted(data)
        return b"".join(nal for nal in units if nal and kind(nal) in _KEPT_NALS[codec])

    return header


def _counted(data: bytes) -> Iterator[bytes]:
    """NAL units behind their lengths."""
    at = 0
    while at + 4 < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _jpeg(data: bytes) -> bytes:
    """Depth, size and sampling."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc1"))
    return data[at + 4 : at + 19] if at >= 0 else b""


def _av1(data: bytes) -> bytes:
    at = 0
    while at + 2 < len(data) and data[at] & 2:
        kind, at = data[at] >> 3 & 15, at + (2 if data[at] & 4 else 1)
        size = shift = 0
        while at < len(data):
            size, shift, at = size | (data[at] & 127) << shift, shift + 7, at + 1
            if not data[at - 1] & 128:
                break
        if kind == _AV1_SEQUENCE:
            return data[at : at + size]
        at += size
    return b""


def _mpeg4(data: bytes) -> bytes:
    """The header of the video object layer."""
    for part in data.split(_START)[1:]:
        if part and 0x20 <= part[0] <= 0x2F:
            return part
    return b""


_HEADERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "h264": _nals("h264"),
    "hevc": _nals("hevc"),
    "mjpeg": _jpeg,
    "vp8": lambda data: data[6:10],
    "vp9": lambda data: data[4:8],
    "av1": _av1,
    "libdav1d": _av1,
    "mpeg4": _mpeg4,
    "prores": lambda data: data[16:25],
    "dvvideo": lambda data: data[3:4],
}
"""What of a keyframe's beginning says how its pictures look, by the name of the decoder."""
