"""Packets of sound that are not heard: those that are not whole, as recordings have where they were cut or joined, and
those that an edit list hides. Looks at headers alone."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any, Final

from av.container import InputContainer
from av.packet import Packet

_STREAMS_OF_BYTES: Final = ("mpegts", "mpeg")
"""Demuxers that find the packets of sound by their headers, and hand out what is left of one too."""
_ADTS_HEADER: Final = 7
_LEAD_IN_S: Final = 0.05
"""Of hidden sound right before the first that is heard: more no decoder needs to begin."""


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


def heard(packets: "Iterable[Packet[Any]]") -> "Iterator[Packet[Any]]":
    """Packets without the sound that an edit list hides, but for what a decoder needs to begin."""
    begun: set[int] = set()
    lead_ins: defaultdict[int, deque[Packet[Any]]] = defaultdict(deque)
    for packet in packets:
        index = packet.stream_index
        if packet.stream.type != "audio" or packet.size == 0:
            yield packet
        elif not packet.is_discard:
            yield from lead_ins.pop(index, ())
            begun.add(index)
            yield packet
        elif index not in begun:
            waiting = lead_ins[index]
            waiting.append(packet)
            while _seconds(waiting[-1]) - _seconds(waiting[0]) > _LEAD_IN_S:
                waiting.popleft()


def _seconds(packet: "Packet[Any]") -> float:
    return float((packet.dts or 0) * packet.time_base)
