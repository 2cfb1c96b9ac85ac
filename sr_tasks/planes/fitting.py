"""Resampling of planes to any size: Keys' cubic (a = -0.5), stretched where samples become fewer, so that nothing is
aliased. Integers in and out; the same on every machine, whatever its number of cores."""

import functools
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.arrays import Plane
from sr_tasks.planes.resample import Siting
from sr_tasks.planes.scaling import LOBES, Kernel, keys, resampling_taps

_BAND_ROWS: Final = 64
"""Rows of the result that are made at a time, so that what lies between both axes stays in the processor's cache."""
_ORIGINS: Final[dict[Siting, float]] = {"centred": 0.5, "co-sited": 0.25}
"""Where the first sample of an axis lies, in samples: of chroma, half a sample of luma is a quarter."""

Steps = tuple[float, float]
"""Source samples to one of the result, down and across: of luma, whose sides chroma's may be rounded up from."""
_Windows = tuple[NDArray[np.intp], NDArray[np.float32]]
"""Of each sample of the result: the first source sample that counts [n], and the weights from there on [n, taps]."""


def fit(
    plane: Plane, out: Plane, steps: Steps, sitings: tuple[Siting, Siting] = ("centred", "centred"), *, peak: int
) -> None:
    """Resample a plane to the size of `out`, uint8 or uint16 [rows, columns], and write it there: rounded to the
    nearest code, cut to 0..peak."""
    np.clip(fitted(plane, out.shape, steps, sitings) + np.float32(0.5), 0, peak, out=out, casting="unsafe")


def fitted(
    plane: NDArray[Any],
    shape: tuple[int, ...],
    steps: Steps,
    sitings: tuple[Siting, Siting] = ("centred", "centred"),
    *,
    kernel: Kernel = keys,
) -> NDArray[np.float32]:
    """A plane resampled to `shape`, float32 in the plane's codes, not rounded. Beyond the border lie the samples
    mirrored at it."""
    down = _windows(plane.shape[0], shape[0], steps[0], sitings[0], kernel)
    across = _windows(plane.shape[1], shape[1], steps[1], sitings[1], kernel)
    result = np.empty((shape[0], shape[1]), np.float32)
    for first in range(0, shape[0], _BAND_ROWS):
        band = slice(first, first + _BAND_ROWS)
        starts, weights = down[0][band], down[1][band]
        top, bottom = int(starts.min()), int(starts.max()) + weights.shape[1]
        lines = plane[top:bottom].astype(np.float32)
        columns: Any = cv2.transpose(_weighed(lines, starts - top, weights))
        result[band] = cv2.transpose(_weighed(columns, *across))
    return result


def _weighed(lines: NDArray[np.float32], starts: NDArray[np.intp], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, columns]: line n is the sum of the lines from `starts[n]` on by `weights[n]`."""
    result = np.empty((len(starts), lines.shape[1]), np.float32)
    taps = weights.shape[1]
    for line, start, row in zip(result, starts.tolist(), weights, strict=True):
        np.einsum("k,kw->w", row, lines[start : start + taps], out=line)
    return result


@functools.lru_cache(maxsize=64)
def _windows(src_size: int, dst_size: int, step: float, siting: Siting, kernel: Kernel) -> _Windows:
    places, weights = resampling_taps(
        src_size, dst_size, step=step, origin=_ORIGINS[siting], kernel=kernel, reach_samples=LOBES
    )
    weights = np.where(np.abs(weights) > 1e-12, weights, 0.0)
    first = np.where(weights != 0, places, src_size).min(axis=1)
    last = np.where(weights != 0, places, -1).max(axis=1)
    taps = int((last - first).max()) + 1
    starts = np.minimum(first, src_size - taps)
    windows = np.zeros((dst_size, taps))
    inside = np.clip(places - starts[:, None], 0, taps - 1)
    np.add.at(windows, (np.arange(dst_size)[:, None], inside), weights)
    return starts.astype(np.intp), windows.astype(np.float32)
