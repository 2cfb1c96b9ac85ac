"""Finds seams: straight lines across the picture that the output has and its source has not. Keeps profiles only."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEMORY = 8
"""Looks that a running profile reaches back over: a seam stays in place while noise and moving detail average out."""
SURROUNDINGS = 13
"""Lines that a line is compared with."""
REACH = 19
"""Lines around an edge of the source whose residual may be ringing or blur of that edge."""
TEXTURE_CODES = 4.0
"""Mean step between neighbouring px, in codes, that halves the weight of a line."""
BORDER = 2
"""Lines at the picture's border that are not looked at, as filters differ there."""

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

    def look(self, luma: NDArray[np.uint8], residual: Any) -> Seam:
        """Take in a frame: its source luma, uint8, and the residual in codes, float32, both `[rows, columns]`."""
        self._looks += 1
        weight = 1.0 / min(self._looks, MEMORY)
        found = []
        for axis in (0, 1):
            _move(self._residual[axis], cv2.reduce(residual, axis, cv2.REDUCE_AVG).ravel(), weight)
            _move(self._texture[axis], _texture(luma, axis), weight)
            found.append(_line(self._residual[axis], self._texture[axis]))
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


def _line(residual: Floats, texture: Floats) -> tuple[int, float]:
    """Index and size of the largest step of two neighbouring lines against the lines around them."""
    if len(residual) < SURROUNDINGS + 2 * BORDER:
        return 0, 0.0
    pairs = residual[:-1] + residual[1:]
    around = cv2.blur(pairs.reshape(1, -1), (SURROUNDINGS, 1), borderType=cv2.BORDER_REFLECT).ravel()
    near = cv2.dilate(texture.reshape(1, -1), np.ones((1, REACH), np.uint8)).ravel()[:-1]
    steps = np.abs(pairs - around) / (1.0 + near / TEXTURE_CODES)
    index = BORDER + int(np.argmax(steps[BORDER:-BORDER]))
    return index, float(steps[index])
