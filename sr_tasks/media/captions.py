"""Closed captions inside a picture stream (ATSC A/53 part 4, CEA-608 and 708): taken from decoded frames, and put into
encoded packets as messages (SEI), since PyAV gives encoders no side data."""

import re
from typing import Any, Final

from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame

from sr_tasks.media.side_data import side_data_of

NAME: Final = "closed captions inside the picture stream"
_HEADERS: Final = {"h264": b"\x06", "hevc": b"\x4e\x01"}
"""Codec -> header of a unit that holds messages."""
_START_CODE: Final = re.compile(rb"\x00?\x00\x00\x01(?=.)", re.DOTALL)
_EMULATED: Final = re.compile(rb"\x00\x00(?=[\x00-\x03])")
_MESSAGE: Final = b"\xb5\x00\x31GA94\x03"
"""Country, provider (ATSC), identifier, and the type of what follows: captions."""
_MOST_BYTES: Final = 31 * 3
"""Triples of caption data that one message counts."""


def captions_of(frame: VideoFrame) -> bytes:
    """Triples of caption data; empty if the frame has none."""
    return side_data_of(frame, SideDataType.A53_CC)


def with_captions(packet: "Packet[Any]", codec: str, captions: bytes) -> "Packet[Any]":
    """A packet of H.264 or HEVC, in units behind start codes, with captions before its picture."""
    data = bytes(packet)
    place = next(match.start() for match in _START_CODE.finditer(data) if _is_picture(data[match.end()], codec))
    parts = [captions[at : at + _MOST_BYTES] for at in range(0, len(captions), _MOST_BYTES)]
    messages = b"".join(_unit(part, codec) for part in parts)
    made: Packet[Any] = Packet(data[:place] + messages + data[place:])
    made.pts, made.dts, made.duration, made.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    made.is_keyframe, made.stream = packet.is_keyframe, packet.stream
    return made


def _is_picture(first: int, codec: str) -> bool:
    return 1 <= first & 31 <= 5 if codec == "h264" else (first >> 1) & 63 < 32


def _unit(captions: bytes, codec: str) -> bytes:
    payload = _MESSAGE + bytes([0x40 | len(captions) // 3, 0xFF]) + captions + b"\xff"
    message = bytes([4, len(payload)]) + payload + b"\x80"
    return b"\x00\x00\x00\x01" + _HEADERS[codec] + _EMULATED.sub(b"\x00\x00\x03", message)
