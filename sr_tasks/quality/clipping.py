"""What the ends of the scale cut off. Pure arithmetic on arrays.

Enlarging sharpens: beside an edge or a fine line samples overshoot. Where the source is black, white or of the
strongest colour already, the scale has no room for that, and the mean of such a place moves. That is no fault of the
output.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.scaling import ALIASED_A, keys
from sr_tasks.quality.cells import Floats

_UNCUT = keys(np.arange(-2, 3)[:, np.newaxis] + [-0.25, 0.25], ALIASED_A).mean(axis=1).astype(np.float32)
"""What enlarging twice and taking means of two samples comes to, where nothing is cut off."""


def cut_off(plane: NDArray[Any]) -> Floats:
    """Codes by which a plane of 8-bit codes differs once it was enlarged, cut off at 0 and 255 and made small again."""
    codes: Any = plane if plane.dtype == np.uint8 else cv2.convertScaleAbs(plane)
    large = cv2.resize(codes, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)  # saturates
    small = cv2.resize(large, codes.shape[::-1], interpolation=cv2.INTER_AREA)
    uncut = cv2.sepFilter2D(codes, cv2.CV_32F, _UNCUT, _UNCUT, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.subtract(small, uncut, dtype=cv2.CV_32F), np.float32)
