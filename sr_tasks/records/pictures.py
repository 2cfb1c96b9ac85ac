"""What a still picture is: facts that its first look finds, and a table of the formats. Opens nothing."""

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

PictureFormat = Literal["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF", "JXL"]
"""Pillow's names."""


@dataclass(frozen=True, kw_only=True)
class FormatRow:
    """A format of pictures, and what a file of it can hold as this product writes it."""

    suffixes: tuple[str, ...]
    is_written: bool = True
    max_bits: int = 8
    """Of a sample."""
    has_alpha: bool = True
    is_lossless: bool = False
    holds: tuple[str, ...] = ("ICC profile", "EXIF", "XMP", "resolution")
    """Metadata that is written."""
    max_side_px: int = 1 << 30
    max_block_bytes: int = 1 << 30
    """Of EXIF, and of XMP."""


PICTURE_FORMATS: Final[dict[PictureFormat, FormatRow]] = {
    "PNG": FormatRow(suffixes=(".png",), max_bits=16, is_lossless=True),
    "JPEG": FormatRow(
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"), has_alpha=False, max_side_px=65500, max_block_bytes=65498
    ),
    "WEBP": FormatRow(suffixes=(".webp",), holds=("ICC profile", "EXIF", "XMP"), max_side_px=16383),
    "TIFF": FormatRow(suffixes=(".tif", ".tiff"), max_bits=16, is_lossless=True),
    "BMP": FormatRow(suffixes=(".bmp", ".dib"), has_alpha=False, is_lossless=True, holds=("resolution",)),
    "AVIF": FormatRow(suffixes=(".avif",), holds=("ICC profile", "EXIF", "XMP"), max_side_px=65535),
    "HEIF": FormatRow(
        suffixes=(".heic", ".heif"), max_bits=12, holds=("ICC profile", "EXIF", "XMP"), max_side_px=16384
    ),
    "GIF": FormatRow(suffixes=(".gif",), is_written=False),
    "JXL": FormatRow(suffixes=(".jxl",), is_written=False),
}
"""Format -> what it holds. A GIF holds 256 colours, which an enlarged picture exceeds; nothing at hand writes a JPEG XL
with its profile. Both become PNG."""

WRITTEN_SUFFIXES: Final[dict[str, PictureFormat]] = {
    suffix: name for name, row in PICTURE_FORMATS.items() if row.is_written for suffix in row.suffixes
}
"""Suffix -> format of the pictures that can be written."""
PICTURE_SUFFIXES: Final = tuple(suffix for row in PICTURE_FORMATS.values() for suffix in row.suffixes)
FALLBACK_SUFFIX: Final = ".png"
"""Of the output of a picture whose own format is not written."""


class PictureFacts(BaseModel):
    """A still picture, as a viewer shows it: turned upright."""

    model_config = ConfigDict(frozen=True)

    format: PictureFormat
    width: int
    height: int
    mode: str
    """Of the file, in Pillow's words: `L`, `RGB`, `P`, `CMYK`, ..."""
    is_gray: bool
    has_alpha: bool
    bit_depth: int
    """Of a sample in the file."""
    orientation: int
    """EXIF's number that the file had: 1 is upright."""
    subsampling: str = ""
    """Of chroma in a JPEG: `4:4:4`, `4:2:2`, `4:2:0`."""
    has_icc: bool
    has_exif: bool
    has_xmp: bool
    exif_bytes: int = 0
    xmp_bytes: int = 0
    dpi: tuple[float, float] | None
    notes: tuple[str, ...] = ()
    """In sentences, what reading it changes or leaves out."""

    @property
    def working_bits(self) -> int:
        """Of a sample as it is read: 8, or 16 for all that is deeper."""
        return 8 if self.bit_depth <= 8 else 16


PictureStrip = Literal["nothing", "location", "device", "all"]


@dataclass(frozen=True, kw_only=True)
class PictureTarget:
    """Everything that decides the bytes of a written picture, beside its samples and metadata."""

    format: PictureFormat
    strip: PictureStrip
    """As the request says."""
    subsampling: str
    """Of chroma in a JPEG: that of the source, else `4:4:4`."""
