"""Finds a displaced picture by how the residual goes with the source's gradients. Keeps moments only."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MEMORY = 8
"""Looks that the moments reach back over: a displacement stays, while noise and flicker average out."""
ROWS, SAMPLES = 16, 12_000
"""At least so many rows, evenly spread, and so many px are looked at, as far as there are so many."""
GRADIENT_FLOOR = 0.5
"""Mean square of the gradient, in squared codes, below which there is nothing to be displaced."""
RESIDUAL_FLOOR = 0.2
"""The same as a share of the residual's mean square: small gradients cannot explain a large residual."""
ENOUGH_PX = 2000
"""Of fewer px, so many standard errors of the displacement are taken off as `DOUBTS` says."""
DOUBTS = 3.0


class ShiftTrack:
    """Follows the moments of gradients and residual."""

    def __init__(self, *, is_stylised: bool = False) -> None:
        """`is_stylised`: the output departs from its source on purpose. On a slope, a shift of brightness looks like a
        displacement; a style may shift brightness, so that nothing is told of even slopes then."""
        self._is_stylised = is_stylised
        self._looks = 0
        self._moments = np.zeros((4, 4), np.float64)
        self.detail = 0.0
        """Mean squared gradient of the source frame looked at last."""

    def look(self, luma: NDArray[np.uint8], residual: Any) -> float:
        """Take in a frame: its source luma, uint8, and the residual in codes, float32, both `[rows, columns]`.

        Returns the global displacement in source px that explains the residual best, times the root of the share of its
        energy that it does explain, so that noise and blur give next to 0.
        """
        if min(luma.shape) < 3:
            return 0.0
        step = max(1, min(luma.shape[0] // ROWS, luma.size // SAMPLES))
        centre = slice(1, -1, step)
        rows = luma[centre].shape[0]
        across = cv2.subtract(luma[centre, 2:], luma[centre, :-2], dtype=cv2.CV_32F)
        down = cv2.subtract(luma[2::step][:rows, 1:-1], luma[:-2:step][:rows, 1:-1], dtype=cv2.CV_32F)
        data = np.stack(
            [across.ravel(), down.ravel(), residual[centre, 1:-1].ravel(), np.ones(across.size, np.float32)]
        )
        moments = (data @ data.T) / data.shape[1]
        moments[:2] *= 0.5
        moments[:, :2] *= 0.5
        self.detail = float(moments[0, 0] + moments[1, 1])
        self._looks += 1
        self._moments += (moments - self._moments) / min(self._looks, MEMORY)
        return self._shift(data.shape[1])

    def _shift(self, count: int) -> float:
        """Displacement in px, from moments of `count` px."""
        moments = self._moments[:3, :3]
        if self._is_stylised:
            means = self._moments[3, :3]
            moments = moments - np.outer(means, means)
        energy = float(moments[2, 2])
        normal = moments[:2, :2] + (GRADIENT_FLOOR + RESIDUAL_FLOOR * energy) * np.eye(2)
        goes_with = moments[:2, 2]
        shift = np.linalg.solve(normal, goes_with)
        explained = float(shift @ goes_with)
        share = explained / max(energy, 1e-6)
        few = max(0.0, 1.0 / math.sqrt(count) - 1.0 / math.sqrt(ENOUGH_PX))
        doubt = DOUBTS * few * math.sqrt(max(0.0, energy - explained) * float(np.trace(np.linalg.inv(normal))))
        return max(0.0, math.hypot(shift[0], shift[1]) - doubt) * math.sqrt(min(1.0, max(0.0, share)))
