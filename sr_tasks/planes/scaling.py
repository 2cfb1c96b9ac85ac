"""Scaling of one plane in float64: Keys' cubic convolution, and means of blocks. The reference that models are measured
beside, and how pictures of tests and of training are made small."""

import functools
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]

ANTIALIASED_A: Final = -0.5
ALIASED_A: Final = -0.75
"""OpenCV's INTER_CUBIC, which video tools and image libraries without antialiasing share."""
LOBES: Final = 3
"""Of the windowed sinc."""


def keys(distance: NDArray[Any] | float, a: float = ANTIALIASED_A) -> Floats:
    """Keys' cubic convolution kernel of parameter `a` at distances in source samples; zero beyond two samples."""
    x = np.abs(np.asarray(distance, np.float64))
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.asarray(np.where(x <= 1, near, np.where(x < 2, far, 0.0)))


def lanczos(distance: NDArray[Any] | float) -> Floats:
    """The windowed sinc of `LOBES` lobes at distances in source samples; zero beyond them."""
    x = np.abs(np.asarray(distance, np.float64))
    return np.asarray(np.where(x < LOBES, np.sinc(x) * np.sinc(x / LOBES), 0.0))


Kernel = Callable[[NDArray[Any]], Floats]
"""A kernel at distances in source samples; zero beyond a few of them."""


@functools.lru_cache(maxsize=64)
def resampling_matrix(src_size: int, dst_size: int, *, a: float = ANTIALIASED_A, antialias: bool = True) -> Floats:
    """Weights [dst_size, src_size] of cubic resampling along one axis; every row sums to one. Read-only.

    Sample centres lie at half pixels. See `resampling_taps`.
    """
    places, weights = resampling_taps(
        src_size, dst_size, step=src_size / dst_size, antialias=antialias, kernel=functools.partial(keys, a=a)
    )
    matrix = np.zeros((dst_size, src_size))
    np.add.at(matrix, (np.arange(dst_size)[:, None], places), weights)
    matrix.setflags(write=False)
    return matrix


def resampling_taps(
    src_size: int,
    dst_size: int,
    *,
    step: float,
    origin: float = 0.5,
    antialias: bool = True,
    kernel: Kernel = keys,
    reach_samples: int = 2,
) -> tuple[NDArray[np.int64], Floats]:
    """Source samples [dst_size, n] that count for each sample of the result, and their weights, which sum to one.

    `step` is the distance of two samples of the result in source samples, `origin` where the first of either side lies
    in its own samples: 0.5 for centres. With `antialias` the kernel, which is zero beyond
    `reach_samples`, is stretched by the reduction. Samples beyond the
    border are those mirrored at it, the border sample included.
    """
    stretch = max(step, 1.0) if antialias else 1.0
    reach = math.ceil(reach_samples * stretch) + 1
    centres = (np.arange(dst_size) + origin) * step - origin
    taps = np.floor(centres)[:, None].astype(np.int64) + np.arange(-reach, reach + 2)
    weights = kernel((centres[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    period = np.mod(taps, 2 * src_size)
    return np.minimum(period, 2 * src_size - 1 - period), weights


def cubic(plane: Floats, rows: int, columns: int, *, a: float = ANTIALIASED_A, antialias: bool = True) -> Floats:
    """Cubic resampling of a plane to [rows, columns]; any range, not clipped."""
    down = resampling_matrix(plane.shape[0], rows, a=a, antialias=antialias)
    across = resampling_matrix(plane.shape[1], columns, a=a, antialias=antialias)
    return np.asarray(down @ plane @ across.T)


def area(plane: Floats, scale: int) -> Floats:
    """Mean of every scale x scale block; both sides must be multiples of `scale`."""
    rows, columns = plane.shape
    return np.asarray(plane.reshape(rows // scale, scale, columns // scale, scale).mean(axis=(1, 3)))


def to_codes(plane: Floats) -> Codes:
    """Rounded half up and clipped to 0..255."""
    return np.asarray(np.clip(np.floor(plane + 0.5), 0, 255), np.uint8)
