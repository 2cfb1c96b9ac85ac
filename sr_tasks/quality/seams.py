"""Finds seams: straight lines across the picture that the output has and its source has not. Keeps profiles only."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEMORY = 8
"""Looks that a running profile reaches back over: a seam stays in place while noise and moving detail average out."""
SURROUNDINGS = 13
"""Lines that a line is compared with, fewer in a small picture."""
FEWEST_SURROUNDINGS = 5
REACH = 19
"""Lines around an edge of the source whose residual may be ringing or blur of that edge."""
TEXTURE_CODES = 4.0
"""Mean step between neighbouring px, in codes, that halves the weight of a line."""
BORDER = 2
"""Lines at the picture's border that are not looked at, as filters differ there."""
ENOUGH_PX = 48
"""A line of fewer px has a mean less certain: noise moves it by `CHANCE` times its standard deviation over the root of
their number, more than it does over so many."""
CHANCE = 7.0

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Seam:
    """The line that stands out most: `value` in codes, less where the source is textured; x or y is -1 along it."""

    value: float
    x: int
    y: int


class SeamTrack:
    """Follows the residual's means over columns and over rows, and the source's texture along them."""

    def __init__(self, width: int, height: int) -> None:
        self._looks = 0
        self._residual = np.zeros(width, np.float32), np.zeros(height, np.float32)
        self._texture = np.zeros(width, np.float32), np.zeros(height, np.float32)
        self._energy = 0.0
        self._few = tuple(CHANCE * max(0.0, length**-0.5 - ENOUGH_PX**-0.5) for length in (height, width))

    def look(self, luma: NDArray[np.uint8], residual: Any) -> Seam:
        """Take in a frame: its source luma, uint8, and the residual in codes, float32, both `[rows, columns]`."""
        self._looks += 1
        weight = 1.0 / min(self._looks, MEMORY)
        if max(self._few) > 0.0:
            self._energy += (cv2.norm(residual, cv2.NORM_L2SQR) / residual.size - self._energy) * weight
        found = []
        for axis in (0, 1):
            _move(self._residual[axis], cv2.reduce(residual, axis, cv2.REDUCE_AVG).ravel(), weight)
            _move(self._texture[axis], _texture(luma, axis), weight)
            found.append(_line(self._residual[axis], self._texture[axis], self._few[axis] * math.sqrt(self._energy)))
        (column, value_across), (row, value_down) = found
        if value_across >= value_down:
            return Seam(value=value_across, x=column, y=-1)
        return Seam(value=value_down, x=-1, y=row)


def _move(running: Floats, new: Floats, weight: float) -> None:
    running += (new - running) * np.float32(weight)


def _texture(luma: NDArray[np.uint8], axis: int) -> Floats:
    """Mean step across each line to the next one."""
    steps = cv2.absdiff(luma[:, 1:], luma[:, :-1]) if axis == 0 else cv2.absdiff(luma[1:], luma[:-1])
    profile = cv2.reduce(steps, axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel()
    return np.append(profile, profile[-1:])


def _line(residual: Floats, texture: Floats, chance: float) -> tuple[int, float]:
    """Index and size of the largest step of two neighbouring lines against the lines around them.

    `chance`: codes that noise explains. Of a few lines nothing can be told.
    """
    surroundings = min(SURROUNDINGS, (len(residual) - 2 * BORDER) // 2 * 2 + 1)
    if surroundings < FEWEST_SURROUNDINGS:
        return 0, 0.0
    pairs = residual[:-1] + residual[1:]
    around = cv2.blur(pairs.reshape(1, -1), (surroundings, 1), borderType=cv2.BORDER_REFLECT).ravel()
    near = cv2.dilate(texture.reshape(1, -1), np.ones((1, REACH), np.uint8)).ravel()[:-1]
    steps = np.maximum(np.abs(pairs - around) - chance, 0.0) / (1.0 + near / TEXTURE_CODES)
    index = BORDER + int(np.argmax(steps[BORDER:-BORDER]))
    return index, float(steps[index])
