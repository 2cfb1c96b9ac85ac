"""Resampling of one luma plane in float64: how small images come about, and the bicubic baseline. NumPy alone."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.errors import UsageError
from sr_tasks.training.recipe import DownScaling

Plane = NDArray[np.float64]
Codes = NDArray[np.uint8]

ANTIALIASED_A = -0.5
ALIASED_A = -0.75
"""OpenCV's INTER_CUBIC, which video tools and image libraries without antialiasing share."""

KINDS: Final[tuple[DownScaling, ...]] = ("bicubic", "area", "aliased", "blurred")
BLUR_SIGMA_RANGE: Final = (0.4, 1.2)
"""Of the blur before kind `blurred` at x2, in px of the large image; at x4 twice as much."""


def cubic(a: float) -> Callable[[Plane], Plane]:
    """Keys' cubic convolution kernel of parameter `a`, zero beyond two samples."""

    def kernel(x: Plane) -> Plane:
        x = np.abs(x)
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x <= 1, near, np.where(x < 2, far, 0.0))

    return kernel


def resample_matrix(src_size: int, dst_size: int, *, a: float, antialias: bool) -> Plane:
    """Weights [dst_size, src_size] of cubic resampling along one axis; every row sums to one.

    Sample centres lie at half pixels. With `antialias` the kernel is stretched by the reduction. Samples beyond the
    border are those mirrored at it, the border sample included.
    """
    step = src_size / dst_size
    stretch = max(step, 1.0) if antialias else 1.0
    reach = math.ceil(2 * stretch) + 1
    centres = (np.arange(dst_size) + 0.5) * step - 0.5
    taps = np.floor(centres)[:, None].astype(np.int64) + np.arange(-reach, reach + 2)
    weights = cubic(a)((centres[:, None] - taps) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    period = np.mod(taps, 2 * src_size)
    mirrored = np.minimum(period, 2 * src_size - 1 - period)
    matrix = np.zeros((dst_size, src_size))
    np.add.at(matrix, (np.arange(dst_size)[:, None], mirrored), weights)
    return matrix


def resample(plane: Plane, height: int, width: int, *, a: float = ANTIALIASED_A, antialias: bool = True) -> Plane:
    """Cubic resampling of [H, W] to [height, width]; any range, not clipped."""
    down = resample_matrix(plane.shape[0], height, a=a, antialias=antialias)
    across = resample_matrix(plane.shape[1], width, a=a, antialias=antialias)
    result: Plane = down @ plane @ across.T
    return result


def area(plane: Plane, scale: int) -> Plane:
    """Mean of every scale x scale block of [H, W]; both sides must be multiples of `scale`."""
    height, width = plane.shape
    means: Plane = plane.reshape(height // scale, scale, width // scale, scale).mean(axis=(1, 3))
    return means


def separable_filter(plane: Plane, weights: Plane) -> Plane:
    """[H, W] filtered along both axes with the odd number of `weights`, borders mirrored."""
    return _filtered(_filtered(plane, weights, 0), weights, 1)


def _filtered(plane: Plane, weights: Plane, axis: int) -> Plane:
    radius = len(weights) // 2
    padding = [(radius, radius) if side == axis else (0, 0) for side in (0, 1)]
    padded = np.pad(plane, padding, mode="symmetric")
    windows: Plane = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=axis)
    filtered: Plane = np.matmul(windows, weights)
    return filtered


def gaussian(sigma: float) -> Plane:
    """Weights of a Gaussian filter, sigma in px; their sum is one."""
    radius = math.ceil(3 * sigma)
    weights: Plane = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    return weights


def blur(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur of [H, W], sigma in px, borders mirrored."""
    return separable_filter(plane, gaussian(sigma))


def downscale(plane: Plane, kind: DownScaling, scale: int, *, sigma: float = 0.8) -> Plane:
    """[H, W] to [H/scale, W/scale], any range, not clipped. `sigma` is that of the blur before kind `blurred`.

    Raises UsageError when a side is no multiple of `scale`.
    """
    height, width = plane.shape[0] // scale, plane.shape[1] // scale
    if plane.shape != (height * scale, width * scale):
        raise UsageError(f"{plane.shape[1]}x{plane.shape[0]} is no multiple of {scale}.", hint="Crop it first.")
    if kind == "area":
        return area(plane, scale)
    if kind == "aliased":
        return resample(plane, height, width, a=ALIASED_A, antialias=False)
    return resample(blur(plane, sigma) if kind == "blurred" else plane, height, width)


def axis_matrix(size: int, kind: DownScaling, scale: int, *, sigma: float = 0.8) -> Plane:
    """Weights [size/scale, size] of `downscale` along one axis: M @ plane @ M.T is the plane made small."""
    if kind == "area":
        means: Plane = np.kron(np.eye(size // scale), np.full((1, scale), 1 / scale))
        return means
    if kind == "aliased":
        return resample_matrix(size, size // scale, a=ALIASED_A, antialias=False)
    matrix = resample_matrix(size, size // scale, a=ANTIALIASED_A, antialias=True)
    blurring = _filtered(np.eye(size), gaussian(sigma), 0) if kind == "blurred" else np.eye(size)
    weights: Plane = matrix @ blurring
    return weights


def to_codes(plane: Plane) -> Codes:
    """Rounded half up and clipped to 0..255."""
    return np.clip(np.floor(plane + 0.5), 0, 255).astype(np.uint8)
