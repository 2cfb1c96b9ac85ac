"""Excerpts: a long file as if it ended after its first seconds. For a process that rehearses, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

_LATE_S: Final = 10.0
"""How much later than its neighbours in the file a packet may be."""
_PICTURES: Final = 128
"""Packets of the picture that are there in any case, whatever their times say."""
_ATTACHED_PIC: Final = 0x400


@dataclass(frozen=True)
class _Bounds:
    until_s: float
    most_bytes: int


_excerpts: dict[Path, _Bounds] = {}


@contextmanager
def excerpt(path: Path, until_s: float, most_bytes: int) -> Iterator[None]:
    """Whatever is opened of `path` in this process ends some seconds behind `until_s`, or once `most_bytes` of packets
    were read: times may jump back. Packets of sound, subtitles and data end at `until_s`."""
    _excerpts[path.absolute()] = _Bounds(until_s, most_bytes)
    try:
        yield
    finally:
        del _excerpts[path.absolute()]


def limited(path: Path, container: InputContainer) -> InputContainer:
    """The container itself, unless an excerpt of its file is asked for."""
    bounds = _excerpts.get(path.absolute())
    return container if bounds is None else cast(InputContainer, _Excerpt(container, bounds))


class _Excerpt:
    """A container that is read for a while. All streams are, so that one with few packets does not lead to the end."""

    def __init__(self, container: InputContainer, bounds: _Bounds) -> None:
        self._container, self._bounds = container, bounds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, *wanted: Any, **named: Any) -> Iterator["Packet[Any]"]:
        """The packets of some streams, all of them by default, and what makes decoders give what they hold back."""
        streams = self._container.streams.get(*wanted, **named)
        indexes = {stream.index for stream in streams}
        has_picture = any(_is_picture(stream) for stream in streams)
        size = pictures = 0
        for packet in self._container.demux():
            stamp = packet.dts if packet.dts is not None else packet.pts
            at = 0.0 if stamp is None else float(stamp * packet.time_base)
            size += packet.size
            pictures += _is_picture(packet.stream)
            is_behind = at > self._bounds.until_s + _LATE_S or size > self._bounds.most_bytes
            if is_behind and pictures > _PICTURES:
                break
            if packet.stream_index in indexes and (has_picture or at <= self._bounds.until_s):
                yield packet
        else:
            return
        for stream in streams:
            flush = Packet()
            flush.stream = stream
            yield flush


def _is_picture(stream: Stream) -> bool:
    return stream.type == "video" and not stream.disposition & _ATTACHED_PIC
