"""Planes of the golden set and how they come to be small: colour conversion, down-scaling, bicubic. Pure NumPy."""

import functools
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.release.golden.scenes import Rgb

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]
Planes = tuple[Codes, Codes, Codes]
"""Y, U, V of 4:2:0, 8 bit, BT.709 in limited range, chroma in the middle of its four luma px."""

_RED, _BLUE = 0.2126, 0.0722


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


def to_codes(plane: Floats) -> Codes:
    """Rounded half up and clipped to 0..255."""
    return np.asarray(np.clip(np.floor(plane + 0.5), 0, 255), np.uint8)


def area(plane: Floats, scale: int) -> Floats:
    """Mean of every scale x scale block; both sides must be multiples of `scale`."""
    rows, columns = plane.shape
    return np.asarray(plane.reshape(rows // scale, scale, columns // scale, scale).mean(axis=(1, 3)))


def cubic(plane: Floats, rows: int, columns: int, *, a: float = -0.5, antialias: bool = True) -> Floats:
    """Keys' cubic resampling to [rows, columns], borders mirrored; unclipped. With `antialias` the kernel is stretched
    by a reduction."""
    down = _matrix(plane.shape[0], rows, a=a, antialias=antialias)
    across = _matrix(plane.shape[1], columns, a=a, antialias=antialias)
    return np.asarray(down @ plane @ across.T)


def enlarged(plane: Codes, scale: int) -> Codes:
    """The bicubic enlargement that everything is measured beside."""
    rows, columns = plane.shape
    return plane if scale == 1 else to_codes(cubic(plane.astype(np.float64), rows * scale, columns * scale))


@functools.lru_cache(maxsize=64)
def _matrix(src: int, dst: int, *, a: float, antialias: bool) -> Floats:
    step = src / dst
    stretch = max(step, 1.0) if antialias else 1.0
    reach = math.ceil(2 * stretch) + 1
    centres = (np.arange(dst) + 0.5) * step - 0.5
    taps = np.floor(centres)[:, None].astype(np.int64) + np.arange(-reach, reach + 2)
    x = np.abs((centres[:, None] - taps) / stretch)
    near, far = ((a + 2) * x - (a + 3)) * x * x + 1, ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    weights = np.where(x <= 1, near, np.where(x < 2, far, 0.0))
    period = np.mod(taps, 2 * src)
    matrix = np.zeros((dst, src))
    np.add.at(matrix, (np.arange(dst)[:, None], np.minimum(period, 2 * src - 1 - period)), weights)
    return np.asarray(matrix / weights.sum(axis=1, keepdims=True))
