"""Checks that frames are in their places: none swapped, repeated, frozen or black. Keeps the frame before, no more.

Each output frame, made small, is compared with its own source frame, with the neighbours of that frame, and with the
output before it. A frame that is closer to a neighbour's source than to its own is in a wrong place. Source frames that
hardly differ are left out: noise alone would decide which is closer.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.quality.cells import psnr
from sr_tasks.quality.figures import Bytes, Picture, difference
from sr_tasks.quality.tallies import Place, Sightings
from sr_tasks.records.assessment import Occurrences

REGION = 96
"""Side in source px of the region that is compared: the one that changes most, as often little of a picture moves."""
STATIC_PSNR = 50.0
"""Two source frames closer than this there, in dB, are too alike to tell their order."""
ENOUGH_PX = 400
"""In a region of fewer px, two source frames must differ by more, as an encoder that lags makes up for less there."""
EVIDENCE = 3.0
"""The sources must differ by so many times the energy that is left unexplained before a frame counts as misplaced.
Grain that an encoder wiped off leaves half of the difference between two frames unexplained."""
CLEAR_MOVE = 9.0
"""For a stylised output, whose unexplained energy is no evidence: mean square, in squared codes, of the change of means
of 4x4 px from which on the picture moves beyond doubt. Grain, and what an encoder skips, stay far below."""
CLEAR_CELL = 4
STYLISED_SHARE = 0.5
"""A stylised output shows its neighbour's picture if it is closer to it by more than this share of their difference.
What the style changes costs both the same; texture that it wipes off leaves the two about equal."""
FROZEN_SHARE = 0.1
"""A frozen output shows less than this share of the source's change."""
BLACK_LUMA = 20.0
"""Mean luma in 8-bit codes up to which a frame is black in limited range."""
BLACK_DROP = 6.0
"""How much darker than its source a black frame must be to count as new."""
SPARSE_ROWS = 4
"""Of so many rows one is looked at to find black frames and the region that changes most."""


_Floats = NDArray[np.float32]
_Region = tuple[slice, slice]


class Order:
    """Compares each output frame with its own source frame, its neighbours in the source, and the output before it."""

    def __init__(self, *, is_stylised: bool = False) -> None:
        """`is_stylised`: the output departs from its source on purpose."""
        self._is_stylised = is_stylised
        self._misplaced, self._frozen, self._black = Sightings(), Sightings(), Sightings()
        self._before: _Known | None = None

    def add(self, place: Place, source: Picture, output: Picture, *, is_exempt: bool) -> None:
        """Take the next pair of frames.

        `is_exempt`: damaged in the source, so that its place among its neighbours says nothing.
        """
        if is_black(source, output):
            self._black.add(place)
        if is_exempt:
            self._before = None
            return
        now = _Known(place, source.luma, output.luma)
        if self._before is not None:
            self._compare(self._before, now)
        self._before = now

    def _compare(self, before: "_Known", now: "_Known") -> None:
        region = _liveliest(before.source, now.source)
        signs = (stylised_signs if self._is_stylised else faithful_signs)(before, now, region)
        if signs is None:
            return
        if not before.is_misplaced and signs.before_shows_next:
            self._misplaced.add(before.place, "shows the frame after it")
        if signs.now_shows_last:
            self._misplaced.add(now.place, "shows the frame before it")
            now.is_misplaced = True
        now.is_frozen = signs.is_frozen
        if now.is_frozen:
            self._frozen.add(now.place)

    @property
    def misplaced(self) -> Occurrences:
        """Frames that match a neighbouring source frame better than their own."""
        return self._misplaced.result()

    @property
    def frozen(self) -> Occurrences:
        """Frames that repeat the one before although the source moves."""
        return self._frozen.result()

    @property
    def black(self) -> Occurrences:
        """Black frames where the source is not black."""
        return self._black.result()


class _Known:
    """A pair of lumas at the source's size, and what was found about it."""

    def __init__(self, place: Place, source: Bytes, output: Bytes) -> None:
        self.place, self.source, self.output = place, source, output
        self.is_misplaced = self.is_frozen = False


@dataclass(frozen=True, kw_only=True)
class _Signs:
    """What two frames of the output and of the source, one after the other, tell."""

    before_shows_next: bool
    now_shows_last: bool
    is_frozen: bool


def faithful_signs(before: _Known, now: _Known, region: _Region) -> _Signs | None:
    """For an output that is consistent with its source; None where that moves too little."""
    change = difference(before.source[region], now.source[region])
    size = now.source[region].size
    if psnr(change * min(1.0, size / ENOUGH_PX), size) > STATIC_PSNR:
        return None
    own_before = difference(before.output[region], before.source[region])
    own_now = difference(now.output[region], now.source[region])
    as_next = difference(before.output[region], now.source[region])
    as_last = difference(now.output[region], before.source[region])
    moved = difference(before.output[region], now.output[region])
    is_sure = before.is_frozen or change > EVIDENCE * own_before
    return _Signs(
        before_shows_next=is_misplaced(own_before, as_next, change),
        now_shows_last=is_misplaced(own_now, as_last, change),
        is_frozen=moved < FROZEN_SHARE * change and is_sure,
    )


def stylised_signs(before: _Known, now: _Known, region: _Region) -> _Signs | None:
    """The same for an output that departs from its source on purpose. Brightness and contrast are fitted first: a style
    shifts them, and in a fade that would look like another frame."""
    change = _left_over(before.source[region], now.source[region])
    if not _is_clear(change):
        return None
    energy = _energy(change)
    own_before, as_next = (_energy(_left_over(before.output[region], known.source[region])) for known in (before, now))
    own_now, as_last = (_energy(_left_over(now.output[region], known.source[region])) for known in (now, before))
    contrast = min(1.0, float(now.output[region].var()) / max(float(now.source[region].var()), 1.0))
    return _Signs(
        before_shows_next=own_before - as_next > STYLISED_SHARE * energy,
        now_shows_last=own_now - as_last > STYLISED_SHARE * energy,
        is_frozen=difference(before.output[region], now.output[region]) < FROZEN_SHARE * energy * contrast,
    )


def _left_over(first: Bytes, second: Bytes) -> _Floats:
    """What of `second` no gain and offset of `first` explain."""
    base, rest = (plane.astype(np.float32) - np.float32(plane.mean()) for plane in (first, second))
    gain = np.float32(np.vdot(base, rest) / max(float(np.vdot(base, base)), 1.0))
    return rest - gain * base


def _energy(plane: _Floats) -> float:
    return float(np.vdot(plane, plane))


def _is_clear(change: _Floats) -> bool:
    size = (max(1, change.shape[1] // CLEAR_CELL), max(1, change.shape[0] // CLEAR_CELL))
    coarse = np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA), np.float32)
    return _energy(coarse) / coarse.size > CLEAR_MOVE


def _liveliest(first: Bytes, second: Bytes) -> _Region:
    """The region that two source frames differ most in."""
    rows, columns = first.shape
    cell = REGION // 3
    if rows <= REGION or columns <= REGION:
        return slice(0, rows), slice(0, columns)
    changes = cv2.absdiff(first[::SPARSE_ROWS], second[::SPARSE_ROWS])
    changes = cv2.resize(changes, (columns // cell, rows // cell), interpolation=cv2.INTER_AREA)
    sums = cv2.boxFilter(changes, cv2.CV_32F, (3, 3), anchor=(0, 0))[: rows // cell - 2, : columns // cell - 2]
    row, column = np.unravel_index(int(np.argmax(sums)), sums.shape)
    y, x = int(row) * cell, int(column) * cell
    return slice(y, y + REGION), slice(x, x + REGION)


def is_misplaced(own: float, other: float, change: float) -> bool:
    """Whether a frame shows its neighbour's picture, from sums of squared differences: output to its own source frame,
    output to the neighbour's, and between those two source frames.

    An encoder that skips small changes also leaves a frame closer to the one before; then what is left unexplained is
    not small against the change, and the frame does not count.
    """
    return other < own and change > EVIDENCE * other


def is_black(source: Picture, output: Picture) -> bool:
    """Whether the output is black where its source is not."""
    luma = cv2.mean(output.luma[::SPARSE_ROWS])[0]
    return luma <= BLACK_LUMA and cv2.mean(source.luma[::SPARSE_ROWS])[0] > luma + BLACK_DROP
