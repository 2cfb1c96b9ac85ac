"""Finds wrong colour matrices and ranges: errors that are a linear mix of the source's planes. Keeps moments only."""

import numpy as np
from numpy.typing import NDArray

MEMORY = 8
"""Looks the moments reach back over: a wrong matrix stays, while an encoder that lags behind a fade comes and goes."""
VARIANCE_FLOOR = 4.0
"""Variance of a plane, in squared codes, below which it explains nothing."""

Floats = NDArray[np.float32]


class MixTrack:
    """Follows how the planes' errors go with the planes' values."""

    def __init__(self) -> None:
        self._looks = 0
        self._covariance: Floats = np.zeros((1, 1), np.float32)
        self._cross: Floats = np.zeros((1, 1), np.float32)

    def look(self, values: Floats, errors: Floats) -> float:
        """Take in a frame: the source's cells and what is wrong with them, both `[planes, rows, columns]` in codes.

        Returns the codes (RMS, worst plane) of the errors that a linear mix of the planes explains. Noise of a codec is
        no such mix, and content without colour or contrast gives 0.
        """
        planes = len(values)
        centred = values.reshape(planes, -1) - values.mean(axis=(1, 2))[:, None]
        covariance = centred @ centred.T / centred.shape[1]
        cross = errors.reshape(planes, -1) @ centred.T / centred.shape[1]
        self._looks += 1
        weight = np.float32(1.0 / min(self._looks, MEMORY))
        self._covariance = self._covariance + (covariance - self._covariance) * weight
        self._cross = self._cross + (cross - self._cross) * weight
        steadied = self._covariance + VARIANCE_FLOOR * np.eye(planes, dtype=np.float32)
        mix = np.linalg.solve(steadied, self._cross.T).T
        explained = np.diag(mix @ self._covariance @ mix.T)
        return float(np.sqrt(max(0.0, float(np.max(explained)))))
