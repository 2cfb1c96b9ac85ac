"""Brings an enlarged plane back to the source's size where the scale is no whole number. Pure arithmetic on arrays."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.fitting import fitted
from sr_tasks.planes.resample import Siting
from sr_tasks.planes.scaling import lanczos

Scales = tuple[float, float]
"""By how much an output's luma is larger than the source's, down and across."""

_LIFT: Final = 0.06
"""Takes back what enlarging and resampling lose of the finest detail: photographs come nearest with about that."""


def are_whole(scales: Scales) -> bool:
    """Whether both axes are enlarged by the same whole number."""
    return scales[0] == scales[1] and scales[0].is_integer()


def reduced_freely(
    plane: NDArray[Any],
    rows: int,
    columns: int,
    scales: Scales,
    sitings: tuple[Siting, Siting] = ("centred", "centred"),
) -> NDArray[np.float32]:
    """A plane at `rows` x `columns`, in its own codes, by an antialiased filter whose response is flat for all but the
    finest detail."""
    small = fitted(plane, (rows, columns), scales, sitings, kernel=lanczos)
    taps = np.array([-_LIFT, 1.0 + 2.0 * _LIFT, -_LIFT], np.float32)
    return np.asarray(cv2.sepFilter2D(small, -1, taps, taps, borderType=cv2.BORDER_REFLECT), np.float32)
