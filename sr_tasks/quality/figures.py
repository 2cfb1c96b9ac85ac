"""Figures of one frame against its source. Pure arithmetic on arrays; opens nothing and keeps nothing.

All figures are taken at the source's size on an 8-bit scale. The work is in whole-plane OpenCV calls on uint8 and
float32, because assessing every frame may cost only a small part of upscaling it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.quality.displacement import ShiftTrack
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.mixing import MixTrack
from sr_tasks.quality.seams import Seam, SeamTrack

CELL = 8
"""Side in source px of the cells that block figures, SSIM and colour are summed over."""
BLOCK = 32
"""Side in source px of the windows that local damage is looked for in."""
PSNR_CAP = 100.0
"""Given for identical planes, in dB."""

_NOISE_SHARE = 0.4
"""Encoders move means by up to such a share of their noise's standard deviation; what is beyond counts as a shift."""
_SSIM_C1 = (0.01 * 255) ** 2
_SSIM_C2 = (0.03 * 255) ** 2

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame and its luma at the source's size on an 8-bit scale."""

    luma: Bytes
    frame: Frame
    scale: int
    """Of the frame against the source: 1 for a source frame."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which of the dearer figures to take of a frame."""

    color: bool = True
    geometry: bool = True
    ssim: bool = True


@dataclass(frozen=True, kw_only=True)
class Located:
    """A figure and the source px it was found at (top left corner of the window, or the line)."""

    value: float
    x: int
    y: int


@dataclass(frozen=True, kw_only=True)
class ColorFigures:
    """Colour of an output frame against its source frame, in codes."""

    plane_shifts: tuple[float, ...]
    """Shift of each plane's mean, signed, less what the noise explains."""
    chroma_block_shifts: tuple[Located, ...]
    """Largest shift of a block's mean in U and in V, signed, less what the noise explains."""
    color_error: float
    """RMS of the worst plane's error as far as a wrong matrix or range explains it, over the last few frames."""


@dataclass(frozen=True, kw_only=True)
class GeometryFigures:
    """Place of an output frame against its source frame."""

    pixel_shift: float
    """Displacement in source px over the last few frames, as far as it explains the residual: noise moves nothing."""
    seam: Seam
    detail: float
    """Mean squared gradient of the source."""


@dataclass(frozen=True, kw_only=True)
class FrameFigures:
    """Output against source, one frame. None for what was not asked for."""

    psnr: float
    block_psnr: Located
    block_shift: Located
    """Largest shift of a luma block's mean, signed, in codes, less what the noise explains."""
    ssim: float | None
    color: ColorFigures | None
    geometry: GeometryFigures | None


def psnr(sse: float, samples: int) -> float:
    """Peak signal-to-noise ratio in dB of a sum of squared errors on an 8-bit scale, at most `PSNR_CAP`."""
    if sse <= 0.0:
        return PSNR_CAP
    return min(PSNR_CAP, 10.0 * math.log10(255.0**2 * samples / sse))


def difference(first: Bytes, second: Bytes) -> float:
    """Sum of squared differences."""
    return float(cv2.norm(first, second, cv2.NORM_L2SQR))


def source_picture(frame: Frame) -> Picture:
    """The picture of a source frame."""
    return Picture(luma=_to_bytes(frame.planes[0], frame.bit_depth), frame=frame, scale=1)


def output_picture(frame: Frame, width: int, height: int, scale: int) -> Picture:
    """The picture of an output frame, down-scaled to `width` x `height` by an antialiased filter.

    The filter is the mean over `scale` x `scale` px with its loss of sharpness taken back by a 3-tap kernel, so that
    its response is flat for all but the finest detail, as that of an antialiased bicubic filter is.
    """
    small = cv2.resize(frame.planes[0], (width, height), interpolation=cv2.INTER_AREA)
    lift = (1.0 - 1.0 / scale**2) / 24.0
    taps = np.array([-lift, 1.0 + 2.0 * lift, -lift], np.float32)
    luma = cv2.sepFilter2D(_to_bytes(small, frame.bit_depth), -1, taps, taps, borderType=cv2.BORDER_REFLECT)
    return Picture(luma=_bytes(luma), frame=frame, scale=scale)


class Comparer:
    """Compares pictures of one size, in order. Holds scratch planes, as allocating costs more than the arithmetic."""

    def __init__(self, width: int, height: int) -> None:
        self._seams = SeamTrack(width, height)
        self._mixing = MixTrack()
        self._shifts = ShiftTrack()
        self._residual = np.empty((height, width), np.float32)
        self._total = np.empty((height, width), np.float32)
        self._square = np.empty((height, width), np.float32)

    def compare(self, source: Picture, output: Picture, look: Callable[[float], Look]) -> FrameFigures:
        """The cheap figures of an output frame against its source frame, and the dearer ones `look(psnr)` names."""
        residual = cv2.subtract(output.luma, source.luma, dst=self._residual, dtype=cv2.CV_32F)
        sse = difference(output.luma, source.luma)
        decibel = psnr(sse, source.luma.size)
        wanted = look(decibel)
        errors = _cells(residual)
        noise = _noise(sse / source.luma.size, errors)
        squares = _cells(cv2.multiply(residual, residual, dst=self._square))
        return FrameFigures(
            psnr=decibel,
            block_psnr=_worst_block(squares),
            block_shift=_worst_shift(errors, noise),
            geometry=self._geometry(source.luma, residual) if wanted.geometry else None,
            color=self._color(source, output, errors, noise) if wanted.color else None,
            ssim=self._ssim(source, output, errors, squares) if wanted.ssim else None,
        )

    def _color(self, source: Picture, output: Picture, luma_errors: Floats, luma_noise: float) -> ColorFigures:
        chroma = _chroma_cells(source)
        errors = np.concatenate([luma_errors[None], _chroma_cells(output) - chroma])
        values = np.concatenate([_cells(source.luma)[None], chroma])
        noises = [luma_noise, *(float(plane.std()) for plane in errors[1:])]
        return ColorFigures(
            plane_shifts=tuple(_beyond(float(p.mean()), noise) for p, noise in zip(errors, noises, strict=True)),
            chroma_block_shifts=tuple(_worst_shift(p, noise) for p, noise in zip(errors[1:], noises[1:], strict=True)),
            color_error=self._mixing.look(values, errors),
        )

    def _geometry(self, luma: Bytes, residual: Any) -> GeometryFigures:
        shift = self._shifts.look(luma, residual)
        return GeometryFigures(pixel_shift=shift, seam=self._seams.look(luma, residual), detail=self._shifts.detail)

    def _ssim(self, source: Picture, output: Picture, residual: Floats, residual_square: Floats) -> float:
        """Mean structural similarity over all cells, from moments of the difference and of the sum of both planes."""
        plane = cv2.add(output.luma, source.luma, dst=self._total, dtype=cv2.CV_32F)
        total = _cells(plane)
        variance_t = _cells(cv2.multiply(plane, plane, dst=self._square)) - total * total
        variance_r = residual_square - residual * residual
        first, second = (total + residual) * 0.5, (total - residual) * 0.5
        luminance = (2.0 * first * second + _SSIM_C1) / (first * first + second * second + _SSIM_C1)
        structure = ((variance_t - variance_r) * 0.5 + _SSIM_C2) / ((variance_t + variance_r) * 0.5 + _SSIM_C2)
        return float(np.mean(luminance * structure))


def _bytes(plane: Any) -> Bytes:
    return np.asarray(plane, np.uint8)


def _to_bytes(plane: NDArray[Any], bit_depth: int) -> Bytes:
    if bit_depth == 8:
        return _bytes(plane)
    return _bytes(cv2.convertScaleAbs(plane, alpha=2.0 ** (8 - bit_depth)))


def _cells(plane: Any) -> Floats:
    """Means of `CELL` x `CELL` px; px behind the last whole cell are left out."""
    rows, columns = max(1, plane.shape[0] // CELL), max(1, plane.shape[1] // CELL)
    whole = plane[: rows * CELL, : columns * CELL]
    if (
        plane.dtype == np.float32 and min(plane.shape) >= CELL
    ):  # halving is OpenCV's fast path; on bytes it would round up
        whole = cv2.resize(whole, (columns * 4, rows * 4), interpolation=cv2.INTER_AREA)
        whole = cv2.resize(whole, (columns * 2, rows * 2), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _chroma_cells(picture: Picture) -> Floats:
    """`[planes, rows, columns]`: both chroma planes as means over the luma plane's cells, on an 8-bit scale."""
    height, width = picture.luma.shape
    rows, columns = max(1, height // CELL), max(1, width // CELL)
    depth, scale = picture.frame.bit_depth, picture.scale
    cells = []
    for plane in picture.frame.planes[1:]:
        across = -(-width * scale // plane.shape[1])
        down = -(-height * scale // plane.shape[0])
        whole = plane[: rows * CELL * scale // down, : columns * CELL * scale // across]
        cells.append(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA))
    return np.asarray(cells, np.float32).reshape(len(cells), rows, columns) * np.float32(2.0 ** (8 - depth))


def _windows(cells: Floats) -> Floats:
    """Means over every block that starts at a cell; over all cells where the picture is smaller than a block."""
    side = BLOCK // CELL
    rows, columns = cells.shape
    size = (min(side, columns), min(side, rows))
    means = cv2.boxFilter(cells, -1, size, anchor=(0, 0))
    return np.asarray(means[: rows - size[1] + 1, : columns - size[0] + 1], np.float32)


def _worst_block(square: Floats) -> Located:
    windows = _windows(square)
    row, column = np.unravel_index(int(np.argmax(windows)), windows.shape)
    return Located(value=psnr(float(windows[row, column]), 1), x=int(column) * CELL, y=int(row) * CELL)


def _noise(mean_square: float, errors: Floats) -> float:
    """Standard deviation of a residual from its mean square and means of its cells."""
    return math.sqrt(max(0.0, mean_square - float(errors.mean()) ** 2))


def _beyond(shift: float, noise: float) -> float:
    """What is left of a shift, signed, once noise had its share."""
    return math.copysign(max(0.0, abs(shift) - _NOISE_SHARE * noise), shift)


def _worst_shift(errors: Floats, noise: float) -> Located:
    windows = _windows(errors)
    row, column = np.unravel_index(int(np.argmax(np.abs(windows))), windows.shape)
    return Located(value=_beyond(float(windows[row, column]), noise), x=int(column) * CELL, y=int(row) * CELL)
