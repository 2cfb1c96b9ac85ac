"""Writes TIFF files of 8 and 16 bits a sample, deflated: Pillow writes no 16-bit RGB, and OpenCV no metadata."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

_HEADER: Final = b"II*\x00"
_HEADER_BYTES: Final = 8
_STRIP_BYTES: Final = 1 << 20
_LEVEL: Final = 4
_LONG: Final = 4
_BYTES: Final = 1
_UNDEFINED: Final = 7
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _OFFSETS, _ORIENTATION = 256, 257, 258, 259, 262, 273, 274
_CHANNELS, _ROWS_PER_STRIP, _BYTE_COUNTS, _X_DPI, _Y_DPI, _DPI_UNIT = 277, 278, 279, 282, 283, 296
_PREDICTOR, _EXTRA, _SAMPLE_FORMAT, _XMP, _ICC = 317, 338, 339, 700, 34675
_INNER: Final = (0x8769, 0x8825)
"""Directories of their own: EXIF and GPS."""
_INCH, _DEFLATE, _HORIZONTAL, _UNASSOCIATED = 2, 8, 2, 2


def encoded(parts: NDArray[Any], metadata: dict[str, Any]) -> bytes:
    """A file of samples [rows, columns, channels], uint8 or uint16: gray or RGB, each with alpha or without.

    `metadata` may hold `exif`, `xmp`, `icc_profile` as bytes and `dpi` as a pair.
    """
    rows_per_strip = max(1, _STRIP_BYTES // (parts.shape[1] * parts.shape[2] * parts.dtype.itemsize))
    strips = list(_strips(parts, rows_per_strip))
    tags = _tags(parts, rows_per_strip, metadata)
    tags[_BYTE_COUNTS] = tuple(len(strip) for strip in strips)
    tags.tagtype[_BYTE_COUNTS] = tags.tagtype[_OFFSETS] = _LONG
    starts = np.cumsum([0, *(len(strip) for strip in strips)])
    tags[_OFFSETS] = tuple(int(start) for start in starts[:-1])  # Pillow adds where its own part ends
    return b"".join([_HEADER, struct.pack("<I", _HEADER_BYTES), tags.tobytes(_HEADER_BYTES), *strips])


def _strips(parts: NDArray[Any], rows: int) -> Iterator[bytes]:
    for top in range(0, len(parts), rows):
        strip = parts[top : top + rows].astype(parts.dtype.newbyteorder("<"))
        strip[:, 1:] -= strip[:, :-1].copy()
        yield zlib.compress(strip.tobytes(), _LEVEL)


def _tags(parts: NDArray[Any], rows_per_strip: int, metadata: dict[str, Any]) -> ImageFileDirectory_v2:
    rows, columns, channels = parts.shape
    tags = ImageFileDirectory_v2()
    _add_exif(tags, metadata.get("exif", b""))
    tags[_WIDTH], tags[_HEIGHT], tags[_CHANNELS] = columns, rows, channels
    tags[_BITS] = (8 * parts.dtype.itemsize,) * channels
    tags[_SAMPLE_FORMAT] = (1,) * channels
    tags[_COMPRESSION], tags[_PREDICTOR], tags[_ROWS_PER_STRIP] = _DEFLATE, _HORIZONTAL, rows_per_strip
    tags[_PHOTOMETRIC], tags[_ORIENTATION] = (2 if channels >= 3 else 1), 1
    if channels in (2, 4):
        tags[_EXTRA] = _UNASSOCIATED
    if dpi := metadata.get("dpi"):
        tags[_X_DPI], tags[_Y_DPI], tags[_DPI_UNIT] = *(IFDRational(round(each * 1000), 1000) for each in dpi), _INCH
    for tag, kind, name in ((_XMP, _BYTES, "xmp"), (_ICC, _UNDEFINED, "icc_profile")):
        if value := metadata.get(name):
            tags.tagtype[tag] = kind
            tags[tag] = value
    return tags


def _add_exif(tags: ImageFileDirectory_v2, exif: bytes) -> None:
    """The tags of an EXIF block, its inner directories as such."""
    found = Image.Exif()
    found.load(exif)
    for tag, value in found.items():
        if tag not in _INNER:
            tags[tag] = value
    for tag in _INNER:
        if inner := dict(found.get_ifd(tag)):
            tags[tag] = inner
