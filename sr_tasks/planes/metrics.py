"""Metrics of a picture against its truth, on planes of 8-bit codes unless said otherwise: PSNR, SSIM, GMSD, flicker."""

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.scaling import Codes, Floats

PSNR_CAP: Final = 100.0
"""dB that stand for two equal pictures."""
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_GMSD_C: Final = 170.0


def psnr_db(mean_square: float, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error in codes up to `peak`; infinite for no error."""
    return 10.0 * math.log10(peak**2 / mean_square) if mean_square > 0 else math.inf


def psnr(found: Codes, truth: Codes, *, crop: int = 0) -> float:
    """Peak signal-to-noise ratio in dB, at most `PSNR_CAP`, `crop` px cut from every side."""
    error = _cut(found, crop) - _cut(truth, crop)
    return min(PSNR_CAP, psnr_db(float(np.mean(error * error))))


def rms_error(found: Sequence[Codes], truth: Sequence[Codes]) -> float:
    """Root mean square error of pictures of one size against their truths, in codes."""
    squares = [np.mean((one.astype(np.float64) - other) ** 2) for one, other in zip(found, truth, strict=True)]
    return float(np.sqrt(np.mean(squares)))


def ssim(found: Codes, truth: Codes, *, crop: int = 0) -> float:
    """Mean structural similarity: Gaussian window of 11x11 px, sigma 1.5, windows wholly inside only."""
    first, second = _cut(found, crop), _cut(truth, crop)
    inner = slice(_SSIM_RADIUS, -_SSIM_RADIUS)

    def mean(plane: Floats) -> Floats:
        size = (2 * _SSIM_RADIUS + 1,) * 2
        return np.asarray(cv2.GaussianBlur(plane, size, _SSIM_SIGMA), np.float64)[inner, inner]

    mean1, mean2 = mean(first), mean(second)
    variance1, variance2 = mean(first * first) - mean1**2, mean(second * second) - mean2**2
    covariance = mean(first * second) - mean1 * mean2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    likeness = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    return float(np.mean(likeness / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))))


def gmsd(found: Codes, truth: Codes, *, crop: int = 0) -> float:
    """Gradient magnitude similarity deviation; 0 where all edges agree, larger is worse.

    Xue, Zhang, Mou, Bovik: Gradient Magnitude Similarity Deviation (IEEE TIP 23(2), 2014): both planes halved by mean,
    Prewitt gradients, constant 170.
    """
    first, second = _gradients(_cut(found, crop)), _gradients(_cut(truth, crop))
    similarity = (2 * first * second + _GMSD_C) / (first**2 + second**2 + _GMSD_C)
    return float(similarity.std())


def flicker(frames: Sequence[NDArray[np.uint8]], step: tuple[int, int]) -> float:
    """Mean absolute temporal high-pass in codes of one object followed through a pan of `step` px (down, across) a
    frame: how much what stands still in the scene changes from frame to frame. Needs three frames or more."""
    down, across = step
    last = len(frames) - 1
    followed = []
    for number, frame in enumerate(frames):
        rows, columns = frame.shape[0] - last * down, frame.shape[1] - last * across
        top, left = (last - number) * down, (last - number) * across
        followed.append(frame[top : top + rows, left : left + columns].astype(np.float64))
    stack = np.stack(followed)
    return float(np.mean(np.abs(stack[1:-1] - (stack[:-2] + stack[2:]) / 2)))


def _cut(plane: Codes, crop: int) -> Floats:
    return plane[crop : plane.shape[0] - crop, crop : plane.shape[1] - crop].astype(np.float64)


def _gradients(plane: Floats) -> Floats:
    rows, columns = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    halved = plane[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2).mean(axis=(1, 3))
    across = np.array([[1.0, 0.0, -1.0]] * 3) / 3
    x, y = (cv2.filter2D(halved, cv2.CV_64F, kernel)[1:-1, 1:-1] for kernel in (across, across.T))
    return np.asarray(np.sqrt(x * x + y * y))
