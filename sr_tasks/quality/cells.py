"""Means of a plane's cells and blocks, and what of a shift noise explains. Pure arithmetic on arrays."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.metrics import PSNR_CAP, psnr_db

CELL = 8
"""Side in source px of the cells that block figures, SSIM and colour are summed over."""
BLOCK = 32
"""Side in source px of the windows that local damage is looked for in."""

_NOISE_SHARE = 0.4
"""Encoders move means by up to such a share of their noise's standard deviation; what is beyond counts as a shift."""
_STRONG_NOISE = 3.0
"""In codes. An error beyond it comes from a picture that no network keeps, such as a fine chequerboard: it moves means
by as much again."""
_STRONG_SHARE = 0.6
_FEW_CELLS = 100
"""With fewer cells a mean is less certain: some times the noise and some codes more are allowed for a single cell."""
_FEW_SHARE, _FEW_CODES = 2.0, 1.5
_MOST = 1.5
"""Codes of noise, and codes allowed for strong noise, that count at most: a fault makes noise as well."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Located:
    """A figure and the source px it was found at (top left corner of the window, or the line)."""

    value: float
    x: int
    y: int


def psnr(sse: float, samples: int) -> float:
    """Peak signal-to-noise ratio in dB of a sum of squared errors on an 8-bit scale, at most `PSNR_CAP`."""
    return min(PSNR_CAP, psnr_db(sse / samples))


def cells(plane: Any, down: int = CELL, across: int = CELL) -> Floats:
    """Means of `down` x `across` px, one at least; px behind the last whole cell are left out."""
    rows, columns = max(1, plane.shape[0] // down), max(1, plane.shape[1] // across)
    whole = plane[: rows * down, : columns * across]
    if plane.dtype == np.float32 and whole.shape == (rows * CELL, columns * CELL):
        # Halving is OpenCV's fast path; on bytes it would round up.
        whole = cv2.resize(whole, (columns * 4, rows * 4), interpolation=cv2.INTER_AREA)
        whole = cv2.resize(whole, (columns * 2, rows * 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def windows(means: Floats) -> Floats:
    """Means over every block that starts at a cell; over all cells where the picture is smaller than a block."""
    side = BLOCK // CELL
    rows, columns = means.shape
    size = (min(side, columns), min(side, rows))
    blocks = cv2.boxFilter(means, -1, size, anchor=(0, 0))
    return np.asarray(blocks[: rows - size[1] + 1, : columns - size[0] + 1], np.float32)


def worst_block(squares: Floats) -> Located:
    """Lowest PSNR of a block, from mean squared errors of cells."""
    blocks = windows(squares)
    row, column = np.unravel_index(int(np.argmax(blocks)), blocks.shape)
    return Located(value=psnr(float(blocks[row, column]), 1), x=int(column) * CELL, y=int(row) * CELL)


def noise(mean_square: float, errors: Floats) -> float:
    """Standard deviation of a residual from its mean square and means of its cells."""
    return math.sqrt(max(0.0, mean_square - float(errors.mean()) ** 2))


def allowance(deviation: float, count: int = _FEW_CELLS) -> float:
    """Codes by which noise of this standard deviation moves a mean over `count` cells."""
    few = max(0.0, 1.0 / math.sqrt(count) - 1.0 / math.sqrt(_FEW_CELLS))
    strong = min(_MOST, _STRONG_SHARE * max(0.0, deviation - _STRONG_NOISE))
    return _NOISE_SHARE * deviation + few * (_FEW_SHARE * min(_MOST, deviation) + _FEW_CODES) + strong


def beyond(shift: float, allowed: float) -> float:
    """What is left of a shift, signed, once noise had its share."""
    return math.copysign(max(0.0, abs(shift) - allowed), shift)


def worst_shift(errors: Floats, allowed: float) -> Located:
    """The block whose mean is off the most, less what is allowed."""
    blocks = windows(errors)
    row, column = np.unravel_index(int(np.argmax(np.abs(blocks))), blocks.shape)
    return Located(value=beyond(float(blocks[row, column]), allowed), x=int(column) * CELL, y=int(row) * CELL)
