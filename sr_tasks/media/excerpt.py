"""Excerpts: sound, subtitles and data of a long file as if they ended after its first seconds. For a process that
rehearses, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

_LATE_S = 10.0
"""How much later than its neighbours in the file a packet may be."""
_ATTACHED_PIC = 0x400

_until: dict[Path, float] = {}


@contextmanager
def excerpt(path: Path, until_s: float) -> Iterator[None]:
    """Whatever is opened of `path` in this process has no packets behind `until_s` but those of the picture."""
    _until[path.absolute()] = until_s
    try:
        yield
    finally:
        del _until[path.absolute()]


def limited(path: Path, container: InputContainer) -> InputContainer:
    """The container itself, unless an excerpt of its file is asked for."""
    until_s = _until.get(path.absolute())
    return container if until_s is None else cast(InputContainer, _Excerpt(container, until_s))


class _Excerpt:
    """A container that is read for a while."""

    def __init__(self, container: InputContainer, until_s: float) -> None:
        self._container, self._until_s = container, until_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def demux(self, *wanted: Any, **named: Any) -> Iterator["Packet[Any]"]:
        """As FFmpeg gives them if the picture is among them, else up to the end of the excerpt."""
        packets = self._container.demux(*wanted, **named)
        streams = self._meant(wanted) if wanted and not named else list(self._container.streams)
        if any(stream.type == "video" and not stream.disposition & _ATTACHED_PIC for stream in streams):
            yield from packets
            return
        for packet in packets:
            stamp = packet.dts if packet.dts is not None else packet.pts
            at = 0.0 if stamp is None else float(stamp * packet.time_base)
            if at <= self._until_s:
                yield packet
            elif at > self._until_s + _LATE_S:
                break
        else:
            return
        for stream in streams:  # what decoders hold back has to come out
            flush = Packet()
            flush.stream = stream
            yield flush

    def _meant(self, wanted: tuple[Any, ...]) -> list[Stream]:
        found: list[Stream] = []
        for one in wanted:
            for each in one if isinstance(one, (list, tuple)) else [one]:
                found.append(self._container.streams[each] if isinstance(each, int) else each)
        return found
