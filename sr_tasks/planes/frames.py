"""The one pair of doors between FFmpeg's frames and arrays."""

from typing import Any, Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from sr_tasks.errors import InputUnsupported
from sr_tasks.planes.arrays import Plane, Planes, dtype_of
from sr_tasks.planes.formats import PixelFormat, pixel_format
from sr_tasks.records.layout import PlaneLayout

Samples = dict[str, Plane]
"""Samples of each letter of `PixelFormat.samples`, [rows, columns], in the low bits."""

_BYTE: Final = np.dtype(np.uint8)
_PALETTE: Final = {"R": 16, "G": 8, "B": 0, "A": 24}
"""Where a colour lies in an entry of a palette, a word of 32 bits."""


def planes_of(frame: VideoFrame) -> Planes:
    """Views of the planes of a frame in a working format, no copies: (y, u, v) or (y,), alpha behind them.

    Raises InputUnsupported for any other format.
    """
    name = frame.format.name
    layout = PlaneLayout.of(name)
    if layout is None:
        raise InputUnsupported(
            f"The pixel format {name} has no separate planes of luma and chroma.",
            hint="Convert the video to planar YUV, e.g. yuv420p.",
        )
    return tuple(rows_of(plane, dtype_of(layout))[:, : plane.width] for plane in frame.planes)


def frame_of(planes: Planes, layout: PlaneLayout) -> VideoFrame:
    """A new frame of that layout with these planes in it, without a time stamp."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height, layout.pix_fmt)
    for target, plane in zip(planes_of(frame), planes, strict=True):
        target[:] = plane
    return frame


def samples_of(frame: VideoFrame, kind: PixelFormat | None = None) -> Samples:
    """The samples of a frame in any pixel format of the table: of `Y`, `U`, `V` or of `R`, `G`, `B`, and of `A`.

    Nothing is rounded but colours of less than 8 bits, which are spread over 8, and black and white, which become 0 and
    255. Transparent colours of a palette are flattened onto black. Raises what `pixel_format` raises.
    """
    kind = kind or pixel_format(frame.format.name)
    if kind.samples == "P":
        return _of_palette(frame)
    if kind.fields == (1,):
        return {"Y": _of_bits(frame)}
    if kind.fields:
        return _of_words(frame, kind)
    found: Samples = {}
    dtype = np.dtype(np.uint8) if kind.bit_depth == 8 else np.dtype(">u2" if kind.is_big_endian else "<u2")
    for plane, letters in zip(frame.planes, kind.samples.split("|"), strict=True):
        rows = rows_of(plane, dtype)
        for letter in sorted(set(letters) - {"X"}):
            samples = _taken(rows, letters, letter)[:, : _columns(frame, kind, letter)]
            if kind.shift or kind.is_big_endian:
                samples = (samples >> kind.shift).astype(np.uint16, copy=False)
            found[letter] = samples
    return found


def rows_of(plane: VideoPlane, dtype: "np.dtype[Any]" = _BYTE) -> NDArray[Any]:
    """[rows, samples of a line], padding included, sharing the plane's memory."""
    lines = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(-1, plane.line_size)[: plane.height]
    return lines[:, : plane.line_size // dtype.itemsize * dtype.itemsize].view(dtype)


def _taken(rows: NDArray[Any], letters: str, letter: str) -> NDArray[Any]:
    """The samples of one letter of lines in which `letters` come again and again."""
    places = [place for place, other in enumerate(letters) if other == letter]
    step = len(letters)
    if len(places) == 1:
        return rows[:, places[0] :: step]
    groups = rows.shape[1] // step
    each = rows[:, : groups * step].reshape(rows.shape[0], groups, step)[:, :, places]
    return each.reshape(rows.shape[0], groups * len(places))


def _columns(frame: VideoFrame, kind: PixelFormat, letter: str) -> int:
    if letter not in "UV":
        return frame.width
    across = {"410": 4, "411": 4, "420": 2, "422": 2}.get(kind.sampling, 1)
    return -(-frame.width // across)


def _of_palette(frame: VideoFrame) -> Samples:
    indices = rows_of(frame.planes[0])[:, : frame.width]
    entries = np.frombuffer(memoryview(frame.planes[1]), dtype=np.uint32)[:256]
    alpha = entries >> _PALETTE["A"] & 255
    if not alpha.any():
        alpha = np.full_like(alpha, 255)
    return {
        letter: ((((entries >> _PALETTE[letter] & 255) * alpha + 127) // 255).astype(np.uint8))[indices]
        for letter in "RGB"
    }


def _of_bits(frame: VideoFrame) -> NDArray[np.uint8]:
    rows = rows_of(frame.planes[0])
    bits = np.unpackbits(np.ascontiguousarray(rows), axis=1)[:, : frame.width]
    white = 0 if frame.format.name == "monow" else 1
    return np.where(bits == white, np.uint8(255), np.uint8(0))


def _of_words(frame: VideoFrame, kind: PixelFormat) -> Samples:
    dtype = np.dtype(f"{'>' if kind.is_big_endian else '<'}u{kind.word_bytes}")
    words = rows_of(frame.planes[0], dtype)[:, : frame.width].astype(np.uint32)
    found: Samples = {}
    below = sum(kind.fields)
    for letter, bits in zip(kind.samples, kind.fields, strict=True):
        below -= bits
        if letter != "X":
            found[letter] = _spread((words >> below) & ((1 << bits) - 1), bits)
    return found


def _spread(codes: NDArray[Any], bits: int) -> Plane:
    """Codes of less than 8 bits over 0..255; others as they are."""
    if bits >= 8:
        return codes.astype(np.uint8) if bits == 8 else codes.astype(np.uint16)
    peak = (1 << bits) - 1
    return ((codes * 255 + peak // 2) // peak).astype(np.uint8)
