"""Compares the chroma of two frames at the source's size, and finds wrong means and mixes of planes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes import resample
from sr_tasks.quality.cells import CELL, Floats, Located, allowance, beyond, cells, worst_shift
from sr_tasks.quality.clipping import cut_off
from sr_tasks.quality.mixing import FEWEST_CELLS, MixTrack
from sr_tasks.quality.reducing import Scales, are_whole, reduced_freely

_FINE_CELL = 4
"""Side in luma px of the cells of a picture too small for `FEWEST_CELLS` of the usual ones."""

Plane = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Siting:
    """Where chroma samples lie: whether on the first of the luma samples they stand for, down and across."""

    down: bool
    across: bool


CENTRED = Siting(down=False, across=False)


@dataclass(frozen=True, kw_only=True)
class ColorFigures:
    """Colour of an output frame against its source frame, in codes."""

    plane_shifts: tuple[float, ...]
    """Shift of each plane's mean, signed, less what the noise explains."""
    chroma_block_shifts: tuple[Located, ...]
    """Largest shift of a block's mean in U and in V, signed, less what the noise explains."""
    color_error: float
    """RMS of the worst plane's error as far as a wrong matrix or range explains it, over the last few frames."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A plane of the source and what the output's differs from it, `[rows, columns]` in codes at the source's size."""

    values: Any
    errors: Any
    down: int
    across: int
    """Luma px that a sample stands for."""

    def in_cells(self, side: int = CELL) -> tuple[Floats, Floats]:
        """Means of values and of errors over cells of `side` luma px."""
        down, across = max(1, side // self.down), max(1, side // self.across)
        return cells(self.values, down, across), cells(self.errors, down, across)

    def cut_in_cells(self) -> Floats:
        """What the ends of the scale cut off the values, likewise."""
        return cells(cut_off(self.values), max(1, CELL // self.down), max(1, CELL // self.across))


class ColorTrack:
    """Takes colour figures of frames in order."""

    def __init__(self, siting: Siting, *, is_full_range: bool) -> None:
        self._siting, self._mixing = siting, MixTrack(is_full_range=is_full_range)

    def look(
        self, luma: Compared, source: Sequence[Plane], output: Sequence[Plane], *, scales: Scales, luma_allowed: float
    ) -> ColorFigures:
        """Take in a frame. `source` and `output`: its chroma planes in 8-bit codes, none for gray."""
        chroma = [self._compared(luma, *planes, scales) for planes in zip(source, output, strict=True)]
        found = [plane.in_cells() for plane in (luma, *chroma)]
        errors = [each[1] for each in found]
        allowed = [luma_allowed, *(_allowed(plane, e) for plane, e in zip(chroma, errors[1:], strict=True))]
        are_few = errors[0].size < FEWEST_CELLS
        finer = [plane.in_cells(_FINE_CELL) for plane in (luma, *chroma)] if are_few else found
        mix = self._mixing.look(
            *(_stacked(each) for each in zip(*finer, strict=True)),
            are_fine=are_few,
            cut_off=lambda: _stacked([plane.cut_in_cells() for plane in (luma, *chroma)]),
        )
        return ColorFigures(
            plane_shifts=tuple(beyond(float(e.mean()), a) for e, a in zip(errors, allowed, strict=True)),
            chroma_block_shifts=tuple(worst_shift(e, a) for e, a in zip(errors[1:], allowed[1:], strict=True)),
            color_error=mix,
        )

    def _compared(self, luma: Compared, source: Plane, output: Plane, scales: Scales) -> Compared:
        rows, columns = source.shape
        values = np.asarray(source, np.float32)
        down, across = -(-luma.values.shape[0] // rows), -(-luma.values.shape[1] // columns)
        siting = Siting(down=self._siting.down and down > 1, across=self._siting.across and across > 1)
        return Compared(
            values=values, errors=reduced(output, rows, columns, scales, siting) - values, down=down, across=across
        )


def reduced(plane: Plane, rows: int, columns: int, scales: Scales, siting: Siting) -> Floats:
    """An enlarged chroma plane back at `rows` x `columns`, its samples where the source's are. `scales` are luma's."""
    if not are_whole(scales):
        sitings = _named(siting.down), _named(siting.across)
        return reduced_freely(plane, rows, columns, scales, sitings)
    scale = int(scales[0])
    whole: Any = np.asarray(plane, np.float32)
    more = rows * scale - whole.shape[0], columns * scale - whole.shape[1]
    if max(more) > 0:  # of an odd size
        whole = cv2.copyMakeBorder(whole, 0, max(0, more[0]), 0, max(0, more[1]), cv2.BORDER_REPLICATE)
    if scale == 1:
        return np.asarray(whole, np.float32)
    small = cv2.resize(whole[: rows * scale, : columns * scale], (columns, rows), interpolation=cv2.INTER_AREA)
    across, down = _taps(scale, siting.across), _taps(scale, siting.down)
    return np.asarray(cv2.sepFilter2D(small, -1, across, down, borderType=cv2.BORDER_REPLICATE), np.float32)


def _named(is_co_sited: bool) -> resample.Siting:
    return "co-sited" if is_co_sited else "centred"


def _taps(scale: int, is_co_sited: bool) -> Floats:
    """Takes back the loss of sharpness of a mean over `scale` samples, and its displacement where they are co-sited."""
    lift = (1.0 - 1.0 / scale**2) / 24.0
    sharper = np.array([-lift, 1.0 + 2.0 * lift, -lift])
    if not is_co_sited:
        return sharper.astype(np.float32)
    t = 1.0 - 0.25 * (1.0 - 1.0 / scale)  # the way from the sample before to this one
    between = np.array([
        -0.5 * t**3 + t**2 - 0.5 * t, 1.5 * t**3 - 2.5 * t**2 + 1.0, -1.5 * t**3 + 2.0 * t**2 + 0.5 * t,
        0.5 * t**3 - 0.5 * t**2, 0.0,
    ])  # fmt: skip
    return np.convolve(between, sharper)[1:-1].astype(np.float32)


def _allowed(plane: Compared, errors: Floats) -> float:
    """Codes by which noise moves means of a chroma plane. Of few cells the noise is told by their samples."""
    deviation = _deviation(errors)
    if errors.size < FEWEST_CELLS:
        samples = max(1.0, CELL / plane.down * CELL / plane.across)
        deviation = max(deviation, _deviation(plane.errors) / math.sqrt(samples))
    return allowance(deviation, errors.size)


def _deviation(errors: Floats) -> float:
    """Standard deviation; of errors that are small but for a spot, that of the others at most."""
    usual = float(np.median(np.abs(errors - np.median(errors))))
    return min(float(errors.std()), 3.0 * usual + 1.0)


def _stacked(planes: Sequence[Floats]) -> Floats:
    """Cells of all planes; of an odd size chroma may have one more row or column."""
    rows, columns = min(p.shape[0] for p in planes), min(p.shape[1] for p in planes)
    return np.stack([plane[:rows, :columns] for plane in planes])
