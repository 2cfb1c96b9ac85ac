"""Telecine undone: of every five frames of video, four frames of film. Pure: a block of five depends on itself and the
frames right beside it, so that a chunk holds what the whole film holds.

Telecine shows film frames for two and three fields in turn, so that of five video frames two are woven of neighbours,
and one film frame comes twice. The woven ones are put together anew, and what comes twice is left out once.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
from av.video.frame import VideoFrame

from sr_tasks.demux.scan import FramePoint
from sr_tasks.media.combing import Codes, block_means, codes
from sr_tasks.media.decoded import DecodedFrame, neighbours
from sr_tasks.planes.frames import rows_of

BLOCK: Final = 5
KEPT: Final = 4
"""Presented frames of a block, and ticks that one of the file's is divided into."""


class _Timed(Protocol):
    @property
    def pts(self) -> int: ...


_T = TypeVar("_T", bound=_Timed)


@dataclass(frozen=True, kw_only=True)
class _Block(Generic[_T]):
    """Up to five frames of the file, the one before them, and when their film frames are shown."""

    before: _T | None
    items: list[_T]
    stamps: list[int]
    spacing: int


def points(stored: Iterable[FramePoint]) -> Iterator[FramePoint]:
    """The film's frames, of the file's, as `presented_points` gives them."""
    is_keyframe = False
    for block in _blocks(stored, None):
        is_keyframe |= block.items[0].is_keyframe
        for place, pts in enumerate(block.stamps):
            yield FramePoint(pts=pts, duration=block.spacing, is_keyframe=is_keyframe and place == 0)
        is_keyframe = any(item.is_keyframe for item in block.items[1:])


def frames(whole: Iterable[DecodedFrame], start_pts: int) -> Iterator[DecodedFrame]:
    """The film's frames, of the file's without combs, from `start_pts` of the file on. Those before are context."""
    for block in _blocks(whole, start_pts):
        for item, pts in zip(_different(block), block.stamps, strict=True):
            yield replace(item, pts=pts)


def woven(first: VideoFrame, second: VideoFrame, order: str) -> VideoFrame:
    """The frame whose first field is `first`'s and whose second field is `second`'s. Planar formats, of the same size.

    `order` is `tff` if the upper row belongs to the first field, `bff` if the lower one does.
    """
    frame = VideoFrame(first.width, first.height, first.format.name)
    frame.color_range, frame.colorspace = first.color_range, first.colorspace
    frame.color_primaries, frame.color_trc = first.color_primaries, first.color_trc
    lower = 1 if order == "tff" else 0
    for into, own, other in zip(frame.planes, first.planes, second.planes, strict=True):
        rows = rows_of(into)
        rows[:], rows[lower::2] = rows_of(own)[:, : rows.shape[1]], rows_of(other)[lower::2, : rows.shape[1]]
    return frame


def _blocks(items: Iterable[_T], start_pts: int | None) -> Iterator[_Block[_T]]:
    """Items from `start_pts` on, five by five. The last block may be shorter, and lasts as long as five frames did."""
    before: _T | None = None
    held: list[_T] = []
    stamps: deque[int] = deque(maxlen=BLOCK + 1)
    for _, item, following in neighbours(items):
        stamps.append(item.pts)
        if start_pts is None or item.pts >= start_pts:
            held.append(item)
        if not held:
            before = item
        elif len(held) == BLOCK or following is None:
            spacing = BLOCK * (stamps[-1] - stamps[0]) // max(1, len(stamps) - 1) or 1
            if following is not None:
                spacing = following.pts - held[0].pts
            kept = max(1, round(KEPT * len(held) / BLOCK))
            shown = [KEPT * held[0].pts + place * spacing for place in range(kept)]
            yield _Block(before=before, items=held, stamps=shown, spacing=spacing)
            before, held = item, []


def _different(block: _Block[DecodedFrame]) -> list[DecodedFrame]:
    """The block's frames without as many as are too many: those that differ least from the one before."""
    pictures = [codes(item.frame) for item in block.items]
    earlier = codes(block.before.frame) if block.before is not None else None
    changes = [_change(*pair) for pair in pairwise([earlier, *pictures])]
    if earlier is None and len(changes) > 1:
        # The first frame of all: it goes only if nothing comes twice.
        changes[0] = (sorted(changes[1:])[len(changes) // 2 - 1][0] / 2, 0.0)
    ranked = sorted(range(len(changes)), key=lambda place: (changes[place], place), reverse=True)
    kept = sorted(ranked[: len(block.stamps)])
    return [block.items[place] for place in kept]


def _change(before: Codes | None, picture: Codes | None) -> tuple[float, float]:
    """How much a picture differs from the one before: where it does most, and in all."""
    if before is None or picture is None or before.shape != picture.shape:
        return (np.inf, np.inf)
    areas = block_means(np.abs(picture - before))
    return float(areas.max()), float(areas.sum())
