"""The table of a source whose packets do not say what comes out: one row a shown frame, in the order of display.

A file of fixed rows, read where it is needed: memory does not grow with the length of the video.
"""

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from sr_tasks.demux.scan import FramePoint
from sr_tasks.errors import IntegrityBroken

KEYFRAME: Final = 1
DAMAGED: Final = 2
CHANGED: Final = 4

_ROW: Final = np.dtype(
    [("pts", "<i8"), ("ordinal", "<i8"), ("pos", "<i8"), ("stamp", "<i8"), ("size", "<i4"), ("flags", "<i4")]
)
_BLOCK: Final = 4096


class Row(NamedTuple):
    """A shown frame."""

    pts: int
    """When it is shown, in ticks of the picture."""
    ordinal: int
    """Place of its packet among the packets of the picture stream, in the order of the file."""
    pos: int
    """Byte position of the packet, -1 if unknown."""
    stamp: int
    """Decoding time of the packet as the file says it, to seek to; -1 if unknown."""
    size: int
    """Bytes of the packet."""
    flags: int
    """KEYFRAME: decoding can begin there. DAMAGED: the packet does not decode, the frame before is shown instead.
    CHANGED: its picture has another size, format, scan or colours than the one before."""


def write(target: BinaryIO, rows: Iterable[Row]) -> Iterator[Row]:
    """Write rows as they pass through."""
    block: list[Row] = []
    for row in rows:
        block.append(row)
        if len(block) == _BLOCK:
            target.write(np.array(block, _ROW).tobytes())
            block = []
        yield row
    target.write(np.array(block, _ROW).tobytes())
    target.flush()


class Timeline:
    """A table as it was written. Raises IntegrityBroken if the file is not there or not whole."""

    def __init__(self, path: Path) -> None:
        try:
            self._rows = np.memmap(path, dtype=_ROW, mode="r")
        except (OSError, ValueError) as exc:
            raise IntegrityBroken(f"The table of frames {path} cannot be read.", hint="Run the job again.") from exc

    def rows(self, start_pts: int | None = None) -> Iterator[Row]:
        """All rows, or those from `start_pts` on."""
        first = 0 if start_pts is None else int(np.searchsorted(self._rows["pts"], start_pts))
        for start in range(first, len(self._rows), _BLOCK):
            yield from (Row(*row) for row in self._rows[start : start + _BLOCK].tolist())

    def at_or_before(self, pts: int) -> Row | None:
        """The last row that is not later than `pts`."""
        place = int(np.searchsorted(self._rows["pts"], pts, side="right"))
        return Row(*self._rows[place - 1].tolist()) if place else None

    def keyframe_at_or_before(self, pts: int) -> Row | None:
        """The last row not later than `pts` at which decoding can begin."""
        place = int(np.searchsorted(self._rows["pts"], pts, side="right"))
        for end in range(place, 0, -_BLOCK):
            block = self._rows["flags"][max(0, end - _BLOCK) : end]
            found = np.flatnonzero(block & (KEYFRAME | DAMAGED) == KEYFRAME)
            if len(found):
                return Row(*self._rows[max(0, end - _BLOCK) + int(found[-1])].tolist())
        return None


@contextmanager
def temporary_table() -> Iterator[Path]:
    """A path for a table that is needed for a while alone. Nothing is there until one is written."""
    path = Path(tempfile.gettempdir()) / f"sr-{secrets.token_hex(8)}.table"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def points(rows: Iterable[Row]) -> Iterator[FramePoint]:
    """The rows as frames to plan chunks from, each as long as until the next; the last as long as the one before."""
    step = 1
    for row, following in pairwise(chain(rows, [None])):
        if row is None:
            return
        step = following.pts - row.pts if following is not None else step
        is_entry = row.flags & (KEYFRAME | DAMAGED) == KEYFRAME
        is_change = bool(row.flags & CHANGED)
        yield FramePoint(pts=row.pts, duration=step, is_keyframe=is_entry, is_change=is_change)
