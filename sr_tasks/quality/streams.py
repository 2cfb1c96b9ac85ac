"""Fingerprints of streams: running hashes over packets. Reads a file once; nothing it keeps grows with its length."""

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from av.packet import Packet
from av.stream import AttachmentStream

from sr_tasks.demux.clock import packets_on_one_clock
from sr_tasks.demux.described import codec_name
from sr_tasks.demux.source import open_source, translated
from sr_tasks.records.media import MediaInfo
from sr_tasks.streams.plan import is_cover

if TYPE_CHECKING:
    from hashlib import _Hash

_PARAMETER_SETS = {"h264": frozenset({7, 8, 9, 13}), "hevc": frozenset({32, 33, 34, 35})}
"""Types of units that hold no picture: parameter sets and the marks between access units."""
_ADTS_SHORT, _ADTS_LONG = 7, 9


@dataclass(kw_only=True)
class StreamPrint:
    """What a stream holds, without its container's wrapping."""

    codec: str
    tick: Fraction
    has_times: bool = True
    """False for covers, which belong to the file as a whole."""
    packets: int = 0
    start: Fraction | None = None
    """Seconds of the earliest time stamp."""
    end: Fraction | None = None
    """Seconds of the latest time stamp."""
    _hash: "_Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def has_own_packets(self) -> bool:
        """False for PCM: there a container cuts the samples into packets as it likes."""
        return not self.codec.startswith("pcm_")

    def add(self, packet: "Packet[Any]") -> None:
        data = payload(bytes(packet), self.codec)
        if not data:
            return
        self.packets += 1
        if self.has_own_packets:
            self._hash.update(len(data).to_bytes(8, "little"))
        self._hash.update(data)
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None and self.has_times:
            seconds = stamp * self.tick
            self.start = seconds if self.start is None else min(self.start, seconds)
            if self.has_own_packets:
                self.end = seconds if self.end is None else max(self.end, seconds)

    def holds_the_same_as(self, other: "StreamPrint") -> bool:
        return self.sha256 == other.sha256 and (self.packets == other.packets or not self.has_own_packets)


def fingerprints(path: Path, indexes: set[int], media: MediaInfo | None = None) -> dict[int, StreamPrint]:
    """The fingerprints of the streams with these indexes, as far as the file has them. An attachment is one packet.
    Where the times of the file jump, they go on, as `media` says.

    Raises InputRefused errors if the file cannot be opened or read.
    """
    with open_source(path) as container, translated(path):
        clock, picture = (media.picture.clock, media.video.index) if media is not None else ((), 0)
        prints: dict[int, StreamPrint] = {}
        streams = []
        for stream in container.streams:
            if stream.index not in indexes:
                continue
            tick = stream.time_base or Fraction(1, 1000)
            prints[stream.index] = StreamPrint(codec=codec_name(stream), tick=tick, has_times=not is_cover(stream))
            if isinstance(stream, AttachmentStream):
                prints[stream.index].add(Packet(stream.data or b""))
            else:
                streams.append(stream)
        if streams:
            for packet in packets_on_one_clock(container, streams, clock, picture):
                prints[packet.stream_index].add(packet)
    return prints


def payload(data: bytes, codec: str) -> bytes:
    """A packet's content without what only its container wants.

    That is the ADTS header that MPEG-TS puts before every AAC packet, the empty text MP4 puts between subtitles, and
    what stands between the units of H.264 and HEVC, with the parameter sets that MP4 and Matroska keep apart.
    """
    if codec in _PARAMETER_SETS:
        return _units(data, codec)
    if codec == "mov_text" and data == b"\0\0":
        return b""
    is_adts = len(data) > _ADTS_SHORT and data[0] == 0xFF and data[1] & 0xF6 == 0xF0
    if codec == "aac" and is_adts and (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5 == len(data):
        return data[_ADTS_SHORT if data[1] & 1 else _ADTS_LONG :]
    return data


def _units(data: bytes, codec: str) -> bytes:
    """The units of a packet that hold pictures or messages, each behind its length."""
    units = [unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")[1:]] if _has_start_codes(data) else _counted(data)
    shift, mask = (0, 31) if codec == "h264" else (1, 63)
    wanted = [unit for unit in units if unit and (unit[0] >> shift) & mask not in _PARAMETER_SETS[codec]]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in wanted)


def _has_start_codes(data: bytes) -> bool:
    """Units follow start codes, as in transport streams, or their lengths, as in MP4 and Matroska."""
    return data.startswith((b"\0\0\1", b"\0\0\0\1")) and int.from_bytes(data[:4], "big") + 4 != len(data)


def _counted(data: bytes) -> list[bytes]:
    units: list[bytes] = []
    place = 0
    while place + 4 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        units.append(data[place + 4 : place + 4 + length].rstrip(b"\0"))
        place += 4 + length
    return units
