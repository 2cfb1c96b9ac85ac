"""Grain of frames: measured in their flat places, and made again. Pure arithmetic on arrays."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.arrays import Plane, Planes
from sr_tasks.records.grain import BANDS, Grain

Floats = NDArray[np.float32]
Places = NDArray[np.int64]
"""Left upper corners [n, (row, column)] of blocks, in px of the source's luma."""

_SIDE: Final = 8
_FLATTEST: Final = 0.3
"""The share of the blocks of a band that counts as flat."""
_MOST: Final = 400
"""Blocks of a band and frame that are measured."""
_STRUCTURE_PX: Final = 2.0
"""Blur under which grain is gone and the picture is not."""
_WHITE: Final = 0.02
"""Correlation of neighbours below which grain is no coarser than px."""


def flat_places(luma: Plane, bit_depth: int) -> list[Places]:
    """By band of luma, blocks of a frame that show little but grain."""
    codes = _codes(luma, bit_depth)
    rows, columns = (side // _SIDE for side in codes.shape)
    corners = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), -1).reshape(-1, 2) * _SIDE
    means = _blocks(codes, corners, (1.0, 1.0)).mean(axis=(1, 2))
    blurred = cv2.GaussianBlur(codes, (0, 0), _STRUCTURE_PX, borderType=cv2.BORDER_REFLECT)
    structure = _residuals(_blocks(np.asarray(blurred, np.float32), corners, (1.0, 1.0))).std(axis=(1, 2))
    bands = np.clip(means * BANDS / 256.0, 0, BANDS - 1).astype(int)
    found = []
    for band in range(BANDS):
        inside = np.flatnonzero(bands == band)
        order = inside[np.argsort(structure[inside], kind="stable")]
        flat = np.sort(order[: max(1, int(len(order) * _FLATTEST))])
        found.append(corners[flat[:: max(1, -(-len(flat) // _MOST))]])
    return found


def measured(frames: Sequence[Planes], places: Sequence[list[Places]], size: tuple[int, int], bit_depth: int) -> Grain:
    """The grain of frames. `places` has the flat ones of each frame, of a source whose luma is `size` (rows, columns);
    the frames may be enlarged. Bands that no frame has are filled from their neighbours."""
    sigmas: list[list[Floats]] = [[] for _ in range(BANDS)]
    chroma: list[list[Floats]] = [[] for _ in frames[0][1:3]] if frames else []
    products: list[float] = []
    for planes, bands in zip(frames, places, strict=True):
        for band, corners in enumerate(bands):
            if len(corners):
                rest = _rest(planes[0], corners, size, bit_depth)
                sigmas[band].append(_sigma(rest))
                products += [_neighbours(rest)] * len(corners)
        everywhere = np.concatenate(bands)
        for place, plane in enumerate(planes[1:3]):
            chroma[place].append(_sigma(_rest(plane, everywhere, size, bit_depth)))
    known = {band: float(np.median(np.concatenate(found))) for band, found in enumerate(sigmas) if found}
    return Grain(
        luma=tuple(np.interp(range(BANDS), list(known), list(known.values())).round(3).tolist()),
        chroma=tuple(round(float(np.median(np.concatenate(found))), 3) for found in chroma),
        softness_px=round(_softness(float(np.mean(products))), 3),
    )


class GrainMaker:
    """Adds grain to frames. The same number gives the same grain, in whatever order and process frames are made."""

    def __init__(self, grain: Grain, bit_depth: int) -> None:
        step = 2.0 ** (bit_depth - 8)
        centres = (np.arange(BANDS) + 0.5) * 256.0 / BANDS * step
        codes = np.arange(2**bit_depth)
        self._luma = (np.interp(codes, centres, grain.luma) * step).astype(np.float32)
        self._chroma = [np.float32(sigma * step) for sigma in grain.chroma]
        self._softness, self._peak = grain.softness_px, 2**bit_depth - 1

    def add(self, planes: Planes, number: int) -> None:
        """Change the planes of a frame in place. `number`: its time stamp, of which any is its own."""
        rows = planes[0].shape[0]
        for place, plane in enumerate(planes[:3]):
            sigma: Any = self._luma[plane] if not place else (self._chroma[place - 1] if self._chroma else None)
            if sigma is not None:
                noise = self._noise(plane.shape, (number, place), self._softness * plane.shape[0] / rows)
                np.copyto(plane, np.clip(np.rint(plane + noise * sigma), 0, self._peak), casting="unsafe")

    def _noise(self, shape: tuple[int, ...], seed: tuple[int, int], softness_px: float) -> Floats:
        """White noise of variance 1, blurred without changing its variance."""
        random = np.random.default_rng([seed[0] & (2**64 - 1), seed[1]])
        noise = random.standard_normal(shape, dtype=np.float32)
        if softness_px < 0.2:
            return noise
        gaussian = cv2.getGaussianKernel(2 * int(np.ceil(3 * softness_px)) + 1, softness_px)
        taps = gaussian / np.sqrt((gaussian**2).sum())
        return np.asarray(cv2.sepFilter2D(noise, -1, taps, taps, borderType=cv2.BORDER_REFLECT), np.float32)


def _codes(plane: Plane, bit_depth: int) -> Floats:
    return plane.astype(np.float32) * np.float32(2.0 ** (8 - bit_depth))


def _rest(plane: Plane, corners: Places, size: tuple[int, int], bit_depth: int) -> Floats:
    scales = plane.shape[0] / size[0], plane.shape[1] / size[1]
    return _residuals(_blocks(_codes(plane, bit_depth), corners, scales))


def _blocks(codes: Floats, corners: Places, scales: tuple[float, float]) -> Floats:
    """[n, rows, columns]: the same places of a plane that is larger, or smaller, than the source's luma."""
    height, width = (max(_SIDE, round(_SIDE * scale)) for scale in scales)
    height, width = min(height, codes.shape[0]), min(width, codes.shape[1])
    tops = np.clip(np.rint(corners[:, 0] * scales[0]).astype(int), 0, codes.shape[0] - height)
    lefts = np.clip(np.rint(corners[:, 1] * scales[1]).astype(int), 0, codes.shape[1] - width)
    rows = tops[:, None, None] + np.arange(height)[None, :, None]
    return np.asarray(codes[rows, lefts[:, None, None] + np.arange(width)[None, None, :]], np.float32)


def _residuals(blocks: Floats) -> Floats:
    """What is left of each block without the slope that fits it best, scaled to the variance of all of it."""
    count, height, width = blocks.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis, _ = np.linalg.qr(np.stack([np.ones_like(x), x, y], -1).reshape(-1, 3))
    flat = blocks.reshape(count, -1)
    rest = flat - (flat @ basis) @ basis.T
    return np.asarray(rest * np.sqrt(height * width / (height * width - 3)), np.float32).reshape(blocks.shape)


def _sigma(rest: Floats) -> Floats:
    return np.asarray(np.sqrt((rest**2).mean(axis=(1, 2))), np.float32)


def _neighbours(rest: Floats) -> float:
    """Correlation of neighbours, down and across."""
    power = float((rest**2).mean())
    if power < 1e-6:
        return 0.0
    down, across = (rest[:, 1:] * rest[:, :-1]).mean(), (rest[:, :, 1:] * rest[:, :, :-1]).mean()
    return float(down + across) / 2 / power


def _softness(correlation: float) -> float:
    """Standard deviation in px of the blur under which neighbours in white noise are correlated so much."""
    return float(0.5 / np.sqrt(-np.log(min(correlation, 0.95)))) if correlation > _WHITE else 0.0
