"""Figures of one frame against its source. Pure arithmetic on arrays; opens nothing and keeps nothing.

All figures are taken at the source's size on an 8-bit scale. The work is in whole-plane OpenCV calls on uint8 and
float32, because assessing every frame may cost only a small part of upscaling it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sr_tasks.quality.cells import Located, allowance, cells, noise, psnr, worst_block, worst_shift
from sr_tasks.quality.colors import (
    CENTRED,
    ColorFigures,
    ColorTrack,
    Compared,
    Siting,
)
from sr_tasks.quality.displacement import ShiftTrack
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.reducing import Scales, are_whole, reduced_freely
from sr_tasks.quality.seams import Seam, SeamTrack

FINE_DETAIL_BELOW = 34.0
"""PSNR in dB below which it is looked whether the finest detail is what differs."""
_SOFTENED, _SOFTENED_BY_STYLE = -0.5, -1.0
"""By what share the finest detail may be softened, as antialiased filters and networks do with px that alternate."""
LUMA_CELLS = 25
"""A cell of luma has so much more px than one of chroma, with less noise each, that it counts for so many."""

_COARSE = np.array([0.25, 0.5, 0.25], np.float32)
_SSIM_C1 = (0.01 * 255) ** 2
_SSIM_C2 = (0.03 * 255) ** 2

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A frame and its luma at the source's size on an 8-bit scale."""

    luma: Bytes
    frame: Frame
    scales: Scales = (1.0, 1.0)
    """Of the frame against the source, down and across."""

    @property
    def chroma(self) -> list[NDArray[Any]]:
        """Chroma planes in codes on an 8-bit scale, uint8 or float32; none for gray."""
        depth, planes = self.frame.bit_depth, self.frame.planes[1:]
        return list(planes) if depth == 8 else [plane * np.float32(2.0 ** (8 - depth)) for plane in planes]


@dataclass(frozen=True, kw_only=True)
class Look:
    """Which of the dearer figures to take of a frame."""

    color: bool = True
    geometry: bool = True
    ssim: bool = True


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
    kept_psnr: float
    """PSNR without what is but a softening of the finest detail: at least `psnr`."""
    block_psnr: Located
    """Of the worst block, likewise."""
    block_shift: Located
    """Largest shift of a luma block's mean, signed, in codes, less what the noise explains."""
    ssim: float | None
    color: ColorFigures | None
    geometry: GeometryFigures | None


def difference(first: Bytes, second: Bytes) -> float:
    """Sum of squared differences."""
    return float(cv2.norm(first, second, cv2.NORM_L2SQR))


def source_picture(frame: Frame) -> Picture:
    """The picture of a source frame."""
    return Picture(luma=_to_bytes(frame.planes[0], frame.bit_depth), frame=frame)


def output_picture(frame: Frame, width: int, height: int) -> Picture:
    """The picture of an output frame, down-scaled to `width` x `height` by an antialiased filter.

    At a whole scale the filter is the mean over a block of px with its loss of sharpness taken back by a 3-tap kernel,
    so that its response is flat for all but the finest detail, as that of an antialiased bicubic filter is. For any
    other scale see `reduced_freely`.
    """
    rows, columns = frame.planes[0].shape
    scales = rows / height, columns / width
    if not are_whole(scales):
        fitting = reduced_freely(frame.planes[0], height, width, scales) * np.float32(2.0 ** (8 - frame.bit_depth))
        return Picture(luma=_bytes(np.clip(fitting + np.float32(0.5), 0, 255)), frame=frame, scales=scales)
    small = cv2.resize(frame.planes[0], (width, height), interpolation=cv2.INTER_AREA)
    lift = (1.0 - 1.0 / scales[0] ** 2) / 24.0
    taps = np.array([-lift, 1.0 + 2.0 * lift, -lift], np.float32)
    luma = cv2.sepFilter2D(_to_bytes(small, frame.bit_depth), -1, taps, taps, borderType=cv2.BORDER_REFLECT)
    return Picture(luma=_bytes(luma), frame=frame, scales=scales)


class Comparer:
    """Compares pictures of one size, in order. Holds scratch planes, as allocating costs more than the arithmetic."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        siting: Siting = CENTRED,
        is_full_range: bool = False,
        is_stylised: bool = False,
    ) -> None:
        """`siting` and `is_full_range` are the source's. `is_stylised`: the output differs from it on purpose."""
        self._is_stylised = is_stylised
        self._seams = SeamTrack(width, height)
        self._colors = ColorTrack(siting, is_full_range=is_full_range)
        self._shifts = ShiftTrack(is_stylised=is_stylised)
        self._residual = np.empty((height, width), np.float32)
        self._total = np.empty((height, width), np.float32)
        self._square = np.empty((height, width), np.float32)

    def compare(self, source: Picture, output: Picture, look: Callable[[float], Look]) -> FrameFigures:
        """The cheap figures of an output frame against its source frame, and the dearer ones `look(psnr)` names."""
        residual = cv2.subtract(output.luma, source.luma, dst=self._residual, dtype=cv2.CV_32F)
        samples = source.luma.size
        sse = difference(output.luma, source.luma)
        decibel = psnr(sse, samples)
        wanted = look(decibel)
        errors = cells(residual)
        allowed = allowance(noise(sse / samples, errors), LUMA_CELLS * errors.size)
        squares = cells(cv2.multiply(residual, residual, dst=self._square))
        kept, rest, kept_squares = decibel, residual, squares
        if decibel < FINE_DETAIL_BELOW:
            rest = self._beside_fine_detail(source.luma, residual)
            kept = max(decibel, psnr(float(np.vdot(rest, rest)), samples))
            kept_squares = cells(cv2.multiply(rest, rest, dst=self._square))
        return FrameFigures(
            psnr=decibel,
            kept_psnr=kept,
            block_psnr=worst_block(kept_squares),
            block_shift=worst_shift(errors, allowed),
            geometry=self._geometry(source.luma, residual) if wanted.geometry else None,
            color=self._color(source, output, residual, allowed) if wanted.color else None,
            ssim=self._ssim(source, rest if self._is_stylised else residual) if wanted.ssim else None,
        )

    def _beside_fine_detail(self, luma: Bytes, residual: Any) -> Any:
        """The residual without the part that is a softening of detail of one or two px."""
        coarse = cv2.sepFilter2D(luma, cv2.CV_32F, _COARSE, _COARSE, borderType=cv2.BORDER_REFLECT_101)
        detail = cv2.subtract(luma, coarse, dst=coarse, dtype=cv2.CV_32F)
        energy = float(np.vdot(detail, detail))
        goes_with = float(np.vdot(detail, residual)) / max(energy, 1.0)
        most = _SOFTENED_BY_STYLE if self._is_stylised else _SOFTENED
        return cv2.scaleAdd(detail, -min(0.0, max(most, goes_with)), residual)

    def _color(self, source: Picture, output: Picture, residual: Any, allowed: float) -> ColorFigures:
        luma = Compared(values=np.asarray(source.luma, np.float32), errors=residual, down=1, across=1)
        return self._colors.look(luma, source.chroma, output.chroma, scales=output.scales, luma_allowed=allowed)

    def _geometry(self, luma: Bytes, residual: Any) -> GeometryFigures:
        shift = self._shifts.look(luma, residual)
        return GeometryFigures(pixel_shift=shift, seam=self._seams.look(luma, residual), detail=self._shifts.detail)

    def _ssim(self, source: Picture, residual: Any) -> float:
        """Mean structural similarity over all cells, from moments of the difference and of the sum of both planes."""
        errors, squares = cells(residual), cells(cv2.multiply(residual, residual, dst=self._square))
        twice = cv2.add(source.luma, source.luma, dst=self._total, dtype=cv2.CV_32F)
        plane = cv2.add(twice, residual, dst=twice)
        total = cells(plane)
        variance_t = cells(cv2.multiply(plane, plane, dst=self._square)) - total * total
        variance_r = squares - errors * errors
        first, second = (total + errors) * 0.5, (total - errors) * 0.5
        luminance = (2.0 * first * second + _SSIM_C1) / (first * first + second * second + _SSIM_C1)
        structure = ((variance_t - variance_r) * 0.5 + _SSIM_C2) / ((variance_t + variance_r) * 0.5 + _SSIM_C2)
        return float(np.mean(luminance * structure))


def _bytes(plane: Any) -> Bytes:
    return np.asarray(plane, np.uint8)


def _to_bytes(plane: NDArray[Any], bit_depth: int) -> Bytes:
    if bit_depth == 8:
        return _bytes(plane)
    return _bytes(cv2.convertScaleAbs(plane, alpha=2.0 ** (8 - bit_depth)))
