"""A picture as the planes that a network takes, and back: gray as it is, R'G'B' as Y'CbCr 4:4:4 of full range."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sr_tasks.pictures.reading import Picture
from sr_tasks.planes.alpha import enlarged, without_fringes
from sr_tasks.planes.arrays import Plane, Planes
from sr_tasks.planes.rgb import from_ycbcr, to_ycbcr
from sr_tasks.records.layout import PlaneLayout
from sr_tasks.records.pictures import PictureFacts

_BAND_ROWS = 128
"""Rows converted at a time, so that the arithmetic takes little memory beside the picture."""


def layout_of(facts: PictureFacts) -> PlaneLayout:
    """Of the planes: two more bits than 8-bit colours have, from which every code of R, G and B comes back."""
    return _layout(is_gray=facts.is_gray, bits=facts.working_bits)


def _layout(*, is_gray: bool, bits: int) -> PlaneLayout:
    return PlaneLayout(chroma="gray" if is_gray else "444", bit_depth=bits if is_gray or bits == 16 else bits + 2)


def planes_of(picture: Picture) -> Planes:
    """(y,) or (y, u, v) in the layout of `layout_of`. Colours under transparent px are those of visible ones nearby."""
    is_gray = picture.samples.shape[2] == 1
    layout = _layout(is_gray=is_gray, bits=picture.bits)
    if is_gray:
        planes: Any = (np.ascontiguousarray(picture.samples[:, :, 0]),)
    else:
        rows, columns = picture.samples.shape[:2]
        peak = 2**layout.bit_depth - 1
        planes = tuple(np.empty((rows, columns), np.uint16) for _ in range(3))
        for top in range(0, rows, _BAND_ROWS):
            band = picture.samples[top : top + _BAND_ROWS]
            red, green, blue = (band[:, :, place] for place in range(3))
            values = to_ycbcr(red, green, blue, picture.bits, layout.bit_depth)
            for plane, value in zip(planes, values, strict=True):
                plane[top : top + _BAND_ROWS] = np.clip(np.floor(value + np.float32(0.5)), 0, peak)
    if picture.alpha is None:
        return tuple(planes)
    alpha = picture.alpha.astype(planes[0].dtype)
    if layout.bit_depth != picture.bits:
        peak = 2**picture.bits - 1
        alpha = ((alpha.astype(np.uint32) * (2**layout.bit_depth - 1) + peak // 2) // peak).astype(np.uint16)
    return without_fringes((*planes, alpha), layout)[: len(planes)]


def enlarge(picture: Picture, infer: Callable[[Planes], Planes]) -> tuple[Picture, Planes, Planes]:
    """The picture in the size that `infer` gives, with the same metadata, and the planes that went in and came out.
    `infer` is that of a session for frames of the picture's `layout_of` and size."""
    planes = planes_of(picture)
    large = infer(planes)
    alpha: Plane | None = None
    if picture.alpha is not None:
        is_as_large = large[0].shape == picture.alpha.shape
        alpha = picture.alpha if is_as_large else enlarged(picture.alpha, large[0].shape, picture.bits)
    return picture_of(large, alpha, picture), planes, large


def picture_of(planes: Planes, alpha: Plane | None, like: Picture) -> Picture:
    """The picture that planes in the layout of `like` show, with its depth and metadata."""
    if len(planes) == 1:
        samples: Any = planes[0][:, :, np.newaxis]
    else:
        bits = _layout(is_gray=False, bits=like.bits).bit_depth
        rows, columns = planes[0].shape
        samples = np.empty((rows, columns, 3), np.uint8 if like.bits == 8 else np.uint16)
        for top in range(0, rows, _BAND_ROWS):
            y, u, v = (plane[top : top + _BAND_ROWS] for plane in planes)
            for place, channel in enumerate(from_ycbcr(y, u, v, bits, like.bits)):
                samples[top : top + _BAND_ROWS, :, place] = channel
    return Picture(samples=samples, alpha=alpha, metadata=like.metadata)


def alike(picture: Picture, model: Picture) -> Picture:
    """A picture with the depth and the number of colours of `model`, for comparing: a format without gray gives three
    samples back, one of 8 bits fewer."""
    samples: Any = picture.samples
    alpha: Any = picture.alpha
    if model.samples.shape[2] < samples.shape[2]:
        samples = samples.mean(axis=2, keepdims=True).round().astype(samples.dtype)
    elif model.samples.shape[2] > samples.shape[2]:
        samples = np.repeat(samples, 3, axis=2)
    if picture.bits < model.bits:
        samples = samples.astype(np.uint16) * np.uint16(257)
        alpha = None if alpha is None else alpha.astype(np.uint16) * np.uint16(257)
    elif picture.bits > model.bits:
        samples = (samples >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    return Picture(samples=samples, alpha=alpha, metadata=picture.metadata)
