"""Decoded frames on their way to the network, and who stands beside whom. Data alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from av.video.frame import VideoFrame

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class DecodedFrame:
    """A frame and the time stamp it is to be shown at. `is_repeat`: its own picture could not be decoded."""

    pts: int
    frame: VideoFrame
    is_repeat: bool
    is_corrupt: bool = False
    """The decoder called the picture damaged, where `frame` was made from it and does not say so itself."""
    captions: bytes = b""
    """Closed captions that the decoded frame carried, as FFmpeg's side data holds them."""


def neighbours(items: Iterable[Item]) -> Iterator[tuple[Item | None, Item, Item | None]]:
    """Every item between the one before and the one behind it; None at the ends."""
    before: Item | None = None
    cur: Item | None = None
    for behind in chain(items, [None]):
        if cur is not None:
            yield before, cur, behind
        before, cur = cur, behind
