"""Making one luma plane small in float64, as small sources come about, and blurring it."""

import math
from typing import Final

import numpy as np

from sr_tasks.errors import UsageError
from sr_tasks.planes.scaling import ALIASED_A, Floats, area, cubic, resampling_matrix
from sr_tasks.training.recipe import DownScaling

Plane = Floats

KINDS: Final[tuple[DownScaling, ...]] = ("bicubic", "area", "aliased", "blurred")
BLUR_SIGMA_RANGE: Final = (0.4, 1.2)
"""Of the blur before kind `blurred` at x2, in px of the large image; at x4 twice as much."""


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
        return cubic(plane, height, width, a=ALIASED_A, antialias=False)
    return cubic(blur(plane, sigma) if kind == "blurred" else plane, height, width)


def axis_matrix(size: int, kind: DownScaling, scale: int, *, sigma: float = 0.8) -> Plane:
    """Weights [size/scale, size] of `downscale` along one axis: M @ plane @ M.T is the plane made small."""
    if kind == "area":
        means: Plane = np.kron(np.eye(size // scale), np.full((1, scale), 1 / scale))
        return means
    if kind == "aliased":
        return resampling_matrix(size, size // scale, a=ALIASED_A, antialias=False).copy()
    matrix = resampling_matrix(size, size // scale)
    blurring = _filtered(np.eye(size), gaussian(sigma), 0) if kind == "blurred" else np.eye(size)
    weights: Plane = matrix @ blurring
    return weights
