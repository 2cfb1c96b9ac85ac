"""Checks that frames are in their places: none swapped, repeated, frozen or black. Keeps the frame before, no more."""

import cv2
import numpy as np

from sr_tasks.quality.figures import Bytes, Picture, difference, psnr
from sr_tasks.quality.records import Occurrences
from sr_tasks.quality.tallies import Place, Sightings

REGION = 96
"""Side in source px of the region that is compared: the one that changes most, as often little of a picture moves."""
STATIC_PSNR = 50.0
"""Two source frames closer than this there, in dB, are too alike to tell their order."""
EVIDENCE = 3.0
"""The sources must differ by so many times the energy that is left unexplained before a frame counts as misplaced.
Grain that an encoder wiped off leaves half of the difference between two frames unexplained."""
FROZEN_SHARE = 0.1
"""A frozen output shows less than this share of the source's change."""
BLACK_LUMA = 20.0
"""Mean luma in 8-bit codes up to which a frame is black in limited range."""
BLACK_DROP = 6.0
"""How much darker than its source a black frame must be to count as new."""
SPARSE_ROWS = 4
"""Of so many rows one is looked at to find black frames and the region that changes most."""


class Order:
    """Compares each output frame with its own source frame, its neighbours in the source, and the output before it."""

    def __init__(self) -> None:
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
        change = difference(before.source[region], now.source[region])
        if psnr(change, now.source[region].size) > STATIC_PSNR:
            return
        own_before = difference(before.output[region], before.source[region])
        own_now = difference(now.output[region], now.source[region])
        as_next = difference(before.output[region], now.source[region])
        as_last = difference(now.output[region], before.source[region])
        if not before.is_misplaced and is_misplaced(own_before, as_next, change):
            self._misplaced.add(before.place, "shows the frame after it")
        if is_misplaced(own_now, as_last, change):
            self._misplaced.add(now.place, "shows the frame before it")
            now.is_misplaced = True
        moved = difference(before.output[region], now.output[region])
        is_sure = before.is_frozen or change > EVIDENCE * own_before
        now.is_frozen = moved < FROZEN_SHARE * change and is_sure
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


def _liveliest(first: Bytes, second: Bytes) -> tuple[slice, slice]:
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
