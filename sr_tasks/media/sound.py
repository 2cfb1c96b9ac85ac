"""Packets of sound that are not whole, as recordings have where they were cut or joined. Looks at headers alone."""

from typing import Any, Final

from av.container import InputContainer
from av.packet import Packet

_STREAMS_OF_BYTES: Final = ("mpegts", "mpeg")
"""Demuxers that find the packets of sound by their headers, and hand out what is left of one too."""
_ADTS_HEADER: Final = 7


class Wholeness:
    """Tells packets of sound that no decoder takes, by the headers that their codec puts before each."""

    def __init__(self, container: InputContainer) -> None:
        is_checked = container.format.name in _STREAMS_OF_BYTES
        self._codecs = {
            stream.index: stream.codec_context.codec.canonical_name
            for stream in container.streams
            if is_checked and stream.type == "audio" and stream.codec_context is not None
        }

    def is_broken(self, packet: "Packet[Any]") -> bool:
        codec = self._codecs.get(packet.stream_index)
        if codec not in ("aac", "mp2", "mp3"):
            return False
        head = bytes(memoryview(packet)[:_ADTS_HEADER])
        if len(head) < _ADTS_HEADER or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
            return True
        return codec == "aac" and (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5 != packet.size
