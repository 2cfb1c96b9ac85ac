"""How far a picture combs: arithmetic on luma that tells fields of one moment from fields of two. Reads no file.

A frame holds two fields, every other row each. If they were taken at two moments, whatever moved between them has edges
like a comb. Whether it does is seen against the frames before and behind: a row is compared with the rows above and
below it as they are, and as they would be if the row came from the neighbour. Px that do not move say nothing.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sr_tasks.planes.frames import rows_of

Codes = NDArray[np.int16]
"""Luma [H, W] in 8-bit codes, some columns left out."""
_Map = NDArray[np.int16]
_Blocks = NDArray[np.float32]

_COLUMNS: Final = 360
"""Columns that are looked at, at most twice as many. Combing is a matter of rows."""
_MOVES: Final = (10, 4)
"""Codes that a px changes at least between two frames if something moves there: as a rule, and in soft pictures."""
_IGNORED: Final = (16, 4)
"""Codes of a row's second difference that noise and coding explain."""
_BLOCK_PX: Final = 16

_MIN_ENERGY: Final = 3.0
"""Codes, summed over blocks: less is too little to tell anything from."""
_MIN_BLOCK: Final = 1.5
_ORDER: Final = 1.25
_CLEAR_ORDER: Final = 1.6
_PLAIN_ORDER: Final = 3.0
"""How many times as far apart the fields are in the wrong order as in the right one."""
_FAINTLY_COMBS: Final = 0.1
_COMBS: Final = 0.55
_CLEARLY_COMBS: Final = 0.8
"""Share of what a row of the nearest other moment differs by. What differs by less is of the same moment."""
_ROUGH: Final = 0.85
"""Share of what the rows of one field differ by, below which rows lie smoothly between each other."""

_PLANAR = re.compile(r"^(?:(?:yuvj?|yuva)\d\d\dp|gray|gbra?p)(?:9|1[0246])?(?:le)?$|^nv(?:12|16|21|24|61)$")


@dataclass(frozen=True, kw_only=True)
class Combing:
    """Of one frame. Energies are in codes, summed over the means of blocks of 16 px, of what moves alone."""

    own: float
    """Of the rows as they are."""
    tff: float
    """With the nearest rows of the neighbours, if the upper row comes first."""
    bff: float
    """The same, if the lower row comes first."""
    within: float
    """Between the rows of one field."""
    blocks: int
    """How many blocks comb beyond doubt."""
    blocks_in_all: int

    @property
    def moves(self) -> bool:
        return max(self.tff, self.bff) >= _MIN_ENERGY

    @property
    def order(self) -> str:
        """`tff` or `bff` if the fields are of two moments whose order shows, else empty."""
        near, far = min(self.tff, self.bff), max(self.tff, self.bff)
        is_like_a_comb = self.own > _COMBS * near and self.own > _ROUGH * self.within and far > _ORDER * near
        is_clear = self.own > _CLEARLY_COMBS * near and far > _CLEAR_ORDER * near
        is_plain = self.own > _FAINTLY_COMBS * near and far > _PLAIN_ORDER * near
        if self.own < _MIN_ENERGY or not (is_like_a_comb or is_clear or is_plain):
            return ""
        return "tff" if self.tff < self.bff else "bff"

    @property
    def is_woven(self) -> bool:
        """Whether each field has its other half in the frame next door, as telecine leaves them."""
        return bool(self.order) and self.own > 2 * min(self.tff, self.bff)

    @property
    def is_mixed(self) -> bool:
        """Whether the fields are of two moments so far apart that their order does not show."""
        near = min(self.tff, self.bff)
        return self.moves and 0.7 * near < self.own < 1.4 * near and self.own > 1.2 * self.within

    @property
    def is_combed(self) -> bool:
        """Whether anything in the frame combs. Right for a source that is known to be interlaced somewhere."""
        is_rough = self.own >= _MIN_ENERGY and self.own > self.within
        return bool(self.order) or self.combs_beyond_doubt or is_rough

    @property
    def combs_beyond_doubt(self) -> bool:
        return self.blocks >= max(3, self.blocks_in_all // 32)

    @property
    def is_whole(self) -> bool:
        """Whether something moves, and both fields are of one moment."""
        near = min(self.tff, self.bff)
        return near >= _MIN_ENERGY and not self.is_combed and self.own < _COMBS * near


def codes(frame: VideoFrame) -> Codes:
    """Luma of any frame, at most 720 columns of it."""
    plain = frame if _PLANAR.match(frame.format.name) else frame.reformat(format="gray")
    plane, depth = plain.planes[0], plain.format.components[0].bits
    dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint8 if depth == 8 else "<u2")
    columns = rows_of(plane, dtype)[:, : plain.width : max(1, plain.width // _COLUMNS)]
    found: Codes = (columns >> (depth - 8)).astype(np.int16)
    return found


def combing(before: Codes | None, frame: Codes, behind: Codes | None) -> Combing:
    """Of `frame` [H, W] among its neighbours. None: there is none, or it has another size; the other stands in for it,
    so that no order shows."""
    near = [other for other in (before, behind) if other is not None and other.shape == frame.shape] or [frame]
    before, behind = near[0], near[-1]
    found = _combing(before, frame, behind, _MOVES[0], _IGNORED[0])
    if min(found.tff, found.bff) >= _MIN_ENERGY:
        return found
    soft = _combing(before, frame, behind, _MOVES[1], _IGNORED[1])
    return soft if soft.order else found


def _combing(before: Codes, frame: Codes, behind: Codes, moves: int, ignored: int) -> Combing:
    upper_lower = frame[:-2] + frame[2:]
    middle, earlier, later = frame[1:-1], before[1:-1], behind[1:-1]
    moving = (np.abs(middle - earlier) > moves) | (np.abs(middle - later) > moves)

    def energy(row: Codes) -> _Map:
        found: _Map = np.maximum(np.abs(upper_lower - 2 * row) - ignored, 0) * moving
        return found

    own, with_earlier, with_later = energy(middle), energy(earlier), energy(later)
    tff, bff = with_earlier.copy(), with_later.copy()
    # The first row of these maps is the frame's second: a row of the lower field.
    tff[1::2], bff[1::2] = with_later[1::2], with_earlier[1::2]
    within = np.zeros_like(own)
    if len(frame) > 4:
        field = np.abs(frame[:-4] + frame[4:] - 2 * frame[2:-2])
        within[1:-1] = np.maximum(field - ignored, 0) * moving[1:-1]
    o, t, b, w = (block_means(of) for of in (own, tff, bff, within))
    near, far = np.minimum(t, b), np.maximum(t, b)
    combs = (o > _MIN_BLOCK) & (o > 0.6 * near) & (((o > 0.8 * w) & (far > _ORDER * near)) | (o > 1.3 * w))
    return Combing(
        own=float(o.sum()), tff=float(t.sum()), bff=float(b.sum()), within=float(w.sum()), blocks=int(combs.sum()),
        blocks_in_all=o.size,
    )  # fmt: skip


def block_means(of: _Map) -> _Blocks:
    """The means [rows, columns] of a map's blocks of 16 px. What is left at the right and below counts for nothing."""
    height, width = (max(1, side // _BLOCK_PX) for side in of.shape)
    rows, columns = (min(_BLOCK_PX, side) for side in of.shape)
    inside = of[: height * rows, : width * columns].reshape(height, rows, width, columns)
    means: _Blocks = inside.sum(axis=(1, 3), dtype=np.float32) / np.float32(rows * columns)
    return means
