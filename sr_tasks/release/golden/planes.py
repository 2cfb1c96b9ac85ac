"""Planes of the golden set: their colours, and the bicubic enlargement that models are measured beside."""

import cv2
import numpy as np

from sr_tasks.planes.color import LUMA_SHARES
from sr_tasks.planes.scaling import Codes, Floats, area, cubic, to_codes
from sr_tasks.records.colour import BT709
from sr_tasks.release.golden.scenes import Rgb

Planes = tuple[Codes, Codes, Codes]
"""Y, U, V of 4:2:0, 8 bit, BT.709 in limited range, chroma in the middle of its four luma px."""

_RED, _BLUE = LUMA_SHARES[BT709]


def to_planes(rgb: Rgb) -> tuple[Floats, Floats, Floats]:
    """Unrounded codes of a picture with even sides: Y at its size, U and V at half of it."""
    red, green, blue = (rgb[..., channel].astype(np.float64) / 255 for channel in range(3))
    luma = _RED * red + (1 - _RED - _BLUE) * green + _BLUE * blue
    chroma = ((blue - luma) / (2 * (1 - _BLUE)), (red - luma) / (2 * (1 - _RED)))
    u, v = (area(128 + 224 * plane, 2) for plane in chroma)
    return 16 + 219 * luma, u, v


def to_rgb(planes: Planes) -> Rgb:
    """The picture of planes, for readers."""
    rows, columns = planes[0].shape
    y = (planes[0].astype(np.float64) - 16) / 219
    u, v = (
        (cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float64) - 128) / 224
        for plane in planes[1:]
    )
    red, blue = y + 2 * (1 - _RED) * v, y + 2 * (1 - _BLUE) * u
    green = (y - _RED * red - _BLUE * blue) / (1 - _RED - _BLUE)
    return to_codes(np.stack([red, green, blue], axis=2) * 255)


def enlarged(plane: Codes, scale: int) -> Codes:
    """The bicubic enlargement that everything is measured beside."""
    rows, columns = plane.shape
    return plane if scale == 1 else to_codes(cubic(plane.astype(np.float64), rows * scale, columns * scale))
