"""Alpha: how transparent each px of luma is. Colours of px that nobody sees are replaced before anything is resampled,
so that they cannot bleed into those that are seen."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.arrays import Plane, Planes, dtype_of
from sr_tasks.planes.fitting import fit
from sr_tasks.planes.resample import RADIUS, phase_taps
from sr_tasks.records.layout import PlaneLayout

_TRUSTED: Final = 16 / 255
"""The alpha from which on a px keeps its own colour. Files that store colours times alpha know them no better below."""
_TINY: Final = 1e-6


def without_fringes(planes: Planes, layout: PlaneLayout) -> Planes:
    """The planes (y, u, v, a) with the colours under transparent px replaced by those of the visible px nearby."""
    *colors, alpha = planes
    share = alpha.astype(np.float32) / np.float32(2**layout.bit_depth - 1)
    if float(share.min()) >= _TRUSTED:
        return planes
    down, across = layout.subsampling
    least = _blocks(share, down, across).min(axis=(1, 3))
    mean = _blocks(share, down, across).mean(axis=(1, 3))
    filled = [_filled(colors[0], share, share)]
    filled += [_filled(plane, least, mean) for plane in colors[1:]]
    return (*filled, alpha)


def on_black(planes: Planes, alpha: Plane, layout: PlaneLayout, *, is_full_range: bool) -> Planes:
    """The planes as they are seen in front of black. `alpha` has the layout's depth and luma's size."""
    share = alpha.astype(np.float32) / np.float32(2**layout.bit_depth - 1)
    down, across = layout.subsampling
    of_chroma = _blocks(share, down, across).mean(axis=(1, 3))
    black = 0.0 if is_full_range else 16.0 * 2 ** (layout.bit_depth - 8)
    middle = float(2 ** (layout.bit_depth - 1))
    floors = (black, middle, middle)
    return tuple(
        np.floor((plane - np.float32(floor)) * weight + np.float32(floor + 0.5)).astype(dtype_of(layout))
        for plane, floor, weight in zip(planes, floors, (share, of_chroma, of_chroma), strict=False)
    )


def enlarged(alpha: Plane, shape: tuple[int, ...], bit_depth: int) -> Plane:
    """Alpha at a larger size by the fixed kernel that enlarges chroma, cut to 0..opaque."""
    scale, peak = shape[0] // alpha.shape[0], 2**bit_depth - 1
    if shape != (scale * alpha.shape[0], scale * alpha.shape[1]):
        fitting = np.empty(shape, alpha.dtype)
        fit(alpha, fitting, (alpha.shape[0] / shape[0], alpha.shape[1] / shape[1]), peak=peak)
        return fitting
    taps = phase_taps(scale, "centred").astype(np.float32)
    value = alpha.astype(np.float32)
    for axis in (0, 1):
        lines = np.moveaxis(value, axis, 0)
        padded = np.pad(lines, ((RADIUS, RADIUS), (0, 0)), mode="edge")
        result = np.empty((scale * lines.shape[0], lines.shape[1]), np.float32)
        for phase in range(scale):
            result[phase::scale] = sum(tap * padded[n : n + len(lines)] for n, tap in enumerate(taps[phase]))
        value = np.moveaxis(result, 0, axis)
    rounded: Plane = np.clip(np.floor(value + 0.5), 0, peak).astype(alpha.dtype)
    return rounded


def _blocks(share: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    """[rows, down, columns, across]: luma samples by the chroma sample they lie under; the border is repeated."""
    rows, columns = (-(-side // factor) for side, factor in zip(share.shape, (down, across), strict=True))
    pads = ((0, rows * down - share.shape[0]), (0, columns * across - share.shape[1]))
    blocks: NDArray[np.float32] = np.pad(share, pads, mode="edge").reshape(rows, down, columns, across)
    return blocks


def _filled(plane: Plane, own: NDArray[np.float32], weight: NDArray[np.float32]) -> Plane:
    """`own` says how far a sample keeps its colour (from `_TRUSTED` on: wholly), `weight` what it counts for others."""
    keep = np.minimum(own / np.float32(_TRUSTED), 1)
    color = plane.astype(np.float32)
    mixed = keep * color + (1 - keep) * _spread(color, weight * weight * keep + weight * np.float32(_TINY))
    rounded: Plane = np.floor(mixed + np.float32(0.5)).astype(plane.dtype)
    return rounded


def _spread(color: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of the visible colours around every sample: of the nearest ones, by halving sizes, where there are any."""
    rows, columns = color.shape
    if max(rows, columns) == 1:
        return color
    size = (max(1, -(-columns // 2)), max(1, -(-rows // 2)))
    small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    small_color = cv2.resize(color * weight, size, interpolation=cv2.INTER_AREA) / np.maximum(small_weight, 1e-20)
    coarse = _spread(np.asarray(small_color, np.float32), np.asarray(small_weight, np.float32))
    near = np.asarray(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)
    trust = np.minimum(weight / np.float32(1e-4), 1)
    mixed: NDArray[np.float32] = trust * color + (1 - trust) * near
    return mixed
