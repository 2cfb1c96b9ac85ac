"""From a frame as FFmpeg decodes it to one in the working format, as `PicturePlan` says. Each frame stands alone."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.planes.alpha import on_black, without_fringes
from sr_tasks.planes.arrays import Plane, Planes, dtype_of
from sr_tasks.planes.chroma import resampled
from sr_tasks.planes.depth import of_depth, to_limited_range
from sr_tasks.planes.formats import PixelFormat, pixel_format
from sr_tasks.planes.frames import Samples, frame_of, planes_of, samples_of
from sr_tasks.planes.rgb import to_ycbcr
from sr_tasks.records.colour import FULL, LIMITED
from sr_tasks.records.layout import PlaneLayout
from sr_tasks.records.media import PicturePlan

_SCALING: Final = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


def conformed(frames: Iterator[DecodedFrame], plan: PicturePlan) -> Iterator[DecodedFrame]:
    """The frames in the plan's pixel format and size; those that have both pass through untouched."""
    return (_with(item, conform(item.frame, plan)) for item in frames)


def _with(item: DecodedFrame, frame: VideoFrame) -> DecodedFrame:
    if frame is item.frame:
        return item
    return replace(item, frame=frame, is_corrupt=item.is_corrupt or item.frame.is_corrupt)


def conform(frame: VideoFrame, plan: PicturePlan) -> VideoFrame:
    """A frame cropped, in `plan.pix_fmt` and of `plan.size`, or the very frame if it is all that.

    A frame of another size is scaled to fit and set in the middle of black. Raises InputUnsupported for pixel formats
    that cannot be converted.
    """
    layout = PlaneLayout.of(plan.pix_fmt)
    if layout is None:
        return frame
    is_limited = _becomes_limited(frame, plan)
    is_right = PlaneLayout.of(frame.format.name) == layout and not layout.has_alpha and not is_limited
    if is_right and not any(plan.crop):
        result = frame
    else:
        result = frame_of(_working_planes(frame, plan, layout), layout)
        result.color_range = LIMITED if is_limited else frame.color_range
        result.colorspace = frame.colorspace
    if plan.size is not None and (result.width, result.height) != plan.size:
        result = _fitted(result, plan.size, layout, is_full_range=_is_full_range(frame) and not is_limited)
    return result


def _working_planes(frame: VideoFrame, plan: PicturePlan, layout: PlaneLayout) -> Planes:
    kind = pixel_format(frame.format.name)
    if not kind.is_rgb and plan.is_rgb:
        # What is YUV in a source of RGB is brought to the codes that its RGB is brought to.
        frame = frame.reformat(format="gbrp16le", interpolation=_SCALING)
        kind = pixel_format("gbrp16le")
    samples = _cropped(samples_of(frame, kind), plan.crop)
    is_limited = _becomes_limited(frame, plan)
    is_full = _is_full_range(frame) and not is_limited
    planes = _color_planes(samples, kind, layout, plan.chroma_location, is_full_range=is_full, is_limited=is_limited)
    if "A" not in samples:
        if layout.has_alpha:
            planes += (np.full(planes[0].shape, 2**layout.bit_depth - 1, dtype_of(layout)),)
        return planes
    alpha = of_depth(samples["A"], kind.bit_depth, layout.bit_depth, is_full_range=True)
    if layout.has_alpha:
        return without_fringes((*planes, alpha), layout)
    return on_black(planes, alpha, layout, is_full_range=is_full)


def _color_planes(
    samples: Samples, kind: PixelFormat, layout: PlaneLayout, location: int, *, is_full_range: bool, is_limited: bool
) -> Planes:
    """Luma and chroma in the working format. `is_limited`: what was of full range becomes limited."""
    bits, new_bits = kind.bit_depth, layout.bit_depth

    def coded(plane: NDArray[Any], *, is_chroma: bool) -> Plane:
        if is_limited and not kind.is_rgb:
            return to_limited_range(plane, bits, new_bits, is_chroma=is_chroma)
        return of_depth(plane, bits, new_bits, is_full_range=is_full_range, is_chroma=is_chroma)

    if kind.is_rgb:
        new_range = FULL if is_full_range else LIMITED
        luma, *chroma = to_ycbcr(samples["R"], samples["G"], samples["B"], bits, new_bits, new_range)
        bits = new_bits
    else:
        luma = samples["Y"]  # type: ignore[assignment]
        chroma = [samples[name] for name in "UV" if name in samples]  # type: ignore[misc]
    planes: list[Plane] = [coded(luma, is_chroma=False)]
    if layout.chroma == "gray":
        return tuple(planes)
    if not chroma:
        neutral = np.full(layout.shapes(*luma.shape[::-1])[1], 2 ** (new_bits - 1), dtype_of(layout))
        return (*planes, neutral, neutral)
    for plane in chroma:
        if kind.sampling != layout.chroma:
            plane = resampled(plane.astype(np.float32), kind.sampling, layout.chroma, luma.shape, location)
        planes.append(coded(plane, is_chroma=True))
    return tuple(planes)


def _cropped(samples: Samples, crop: tuple[int, int, int, int]) -> Samples:
    """Cut off px of luma at the left, top, right and bottom, and what lies under them of chroma."""
    if not any(crop):
        return samples
    left, top, right, bottom = crop
    height, width = next(plane for name, plane in samples.items() if name not in "UV").shape
    if left + right >= width or top + bottom >= height:
        raise InputUnsupported(
            f"The crop of {crop} px leaves nothing of a picture of {width}x{height}.", hint="Remux it without a crop."
        )
    cut: Samples = {}
    for name, plane in samples.items():
        down, across = -(-height // plane.shape[0]), -(-width // plane.shape[1])
        rows = -(-(height - top - bottom) // down)
        columns = -(-(width - left - right) // across)
        cut[name] = plane[top // down :, left // across :][:rows, :columns]
    return cut


def _fitted(frame: VideoFrame, size: tuple[int, int], layout: PlaneLayout, *, is_full_range: bool) -> VideoFrame:
    """The picture in the middle of a black one of `size`, as large as its shape allows."""
    width, height = size
    factor = min(width / frame.width, height / frame.height)
    down, across = layout.subsampling
    inner = [
        min(side, max(step, round(old * factor / step) * step))
        for old, side, step in ((frame.width, width, across), (frame.height, height, down))
    ]
    small = frame.reformat(width=inner[0], height=inner[1], interpolation=_SCALING)
    x, y = ((side - part) // 2 // step * step for side, part, step in zip(size, inner, (across, down), strict=True))
    black = 0 if is_full_range else 16 << (layout.bit_depth - 8)
    result = VideoFrame(width, height, layout.pix_fmt)
    levels = (black, *[2 ** (layout.bit_depth - 1)] * (len(layout.names) - 1), 0)
    for place, (target, plane) in enumerate(zip(planes_of(result), planes_of(small), strict=True)):
        target[:] = levels[place]
        row, column = (y // down, x // across) if place in (1, 2) else (y, x)
        target[row : row + plane.shape[0], column : column + plane.shape[1]] = plane
    return result


def _is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == FULL or pixel_format(frame.format.name).is_full_range


def _becomes_limited(frame: VideoFrame, plan: PicturePlan) -> bool:
    return plan.color_range == LIMITED and _is_full_range(frame)
