"""Every pixel format that FFmpeg decodes to: where its samples lie, and which working format they are brought to.

One row a format. A row writes down the samples of each stored plane in their order, one letter each: `Y|UV` is a plane
of luma and a plane where U and V take turns. `R`, `G`, `B` are colours, `A` is alpha, `X` is padding, `P` an index into
a palette.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from sr_tasks.errors import InputUnsupported

Sampling = Literal["410", "411", "420", "422", "440", "444", "gray"]


@dataclass(frozen=True, kw_only=True)
class PixelFormat:
    """How FFmpeg stores a pixel format."""

    samples: str
    """As in the head of this module."""
    sampling: Sampling
    """`444` for RGB and palettes."""
    bit_depth: int
    """Of the samples; the deepest, where they differ."""
    shift: int = 0
    """Unused low bits of each stored sample."""
    fields: tuple[int, ...] = ()
    """Bits of each letter, from the highest on, where one word holds them all. Empty: a word holds one sample."""
    word_bytes: int = 0
    """Of such words."""
    is_big_endian: bool = False
    is_full_range: bool = False

    @property
    def is_rgb(self) -> bool:
        """Whether the samples are colours or point to colours, so that a matrix is needed to have luma."""
        return bool(set("RP") & set(self.samples))

    @property
    def has_alpha(self) -> bool:
        return "A" in self.samples


_PLANAR: Final = re.compile(r"^(yuv|yuvj|yuva|gbr|gbra|gray)(410|411|420|422|440|444)?p?(9|10|12|14|16)?(msb)?$")
_PLANAR_SAMPLES: Final = {
    "yuv": "Y|U|V", "yuvj": "Y|U|V", "yuva": "Y|U|V|A", "gbr": "G|B|R", "gbra": "G|B|R|A", "gray": "Y",
}  # fmt: skip

_PACKED: Final[dict[str, tuple[str, Sampling, int, int]]] = {
    # FFmpeg's name without its byte order: samples, sampling, bits, unused low bits
    "nv12": ("Y|UV", "420", 8, 0),
    "nv21": ("Y|VU", "420", 8, 0),
    "nv16": ("Y|UV", "422", 8, 0),
    "nv24": ("Y|UV", "444", 8, 0),
    "nv42": ("Y|VU", "444", 8, 0),
    "nv20": ("Y|UV", "422", 10, 0),
    "p010": ("Y|UV", "420", 10, 6),
    "p012": ("Y|UV", "420", 12, 4),
    "p016": ("Y|UV", "420", 16, 0),
    "p210": ("Y|UV", "422", 10, 6),
    "p212": ("Y|UV", "422", 12, 4),
    "p216": ("Y|UV", "422", 16, 0),
    "p410": ("Y|UV", "444", 10, 6),
    "p412": ("Y|UV", "444", 12, 4),
    "p416": ("Y|UV", "444", 16, 0),
    "yuyv422": ("YUYV", "422", 8, 0),
    "yvyu422": ("YVYU", "422", 8, 0),
    "uyvy422": ("UYVY", "422", 8, 0),
    "y210": ("YUYV", "422", 10, 6),
    "y212": ("YUYV", "422", 12, 4),
    "y216": ("YUYV", "422", 16, 0),
    "uyyvyy411": ("UYYVYY", "411", 8, 0),
    "vyu444": ("VYU", "444", 8, 0),
    "vuya": ("VUYA", "444", 8, 0),
    "vuyx": ("VUYX", "444", 8, 0),
    "ayuv": ("AYUV", "444", 8, 0),
    "uyva": ("UYVA", "444", 8, 0),
    "ayuv64": ("AYUV", "444", 16, 0),
    "xv36": ("UYVX", "444", 12, 4),
    "xv48": ("UYVX", "444", 16, 0),
    "ya8": ("YA", "gray", 8, 0),
    "ya16": ("YA", "gray", 16, 0),
    "rgb24": ("RGB", "444", 8, 0),
    "bgr24": ("BGR", "444", 8, 0),
    "argb": ("ARGB", "444", 8, 0),
    "rgba": ("RGBA", "444", 8, 0),
    "abgr": ("ABGR", "444", 8, 0),
    "bgra": ("BGRA", "444", 8, 0),
    "0rgb": ("XRGB", "444", 8, 0),
    "rgb0": ("RGBX", "444", 8, 0),
    "0bgr": ("XBGR", "444", 8, 0),
    "bgr0": ("BGRX", "444", 8, 0),
    "rgb48": ("RGB", "444", 16, 0),
    "bgr48": ("BGR", "444", 16, 0),
    "rgba64": ("RGBA", "444", 16, 0),
    "bgra64": ("BGRA", "444", 16, 0),
    "pal8": ("P", "444", 8, 0),
}

_WORDS: Final[dict[str, tuple[str, tuple[int, ...], int]]] = {
    # FFmpeg's name without its byte order: samples from the highest bit on, bits of each, bytes of the word
    "rgb565": ("RGB", (5, 6, 5), 2),
    "bgr565": ("BGR", (5, 6, 5), 2),
    "rgb555": ("XRGB", (1, 5, 5, 5), 2),
    "bgr555": ("XBGR", (1, 5, 5, 5), 2),
    "rgb444": ("XRGB", (4, 4, 4, 4), 2),
    "bgr444": ("XBGR", (4, 4, 4, 4), 2),
    "rgb8": ("RGB", (3, 3, 2), 1),
    "bgr8": ("BGR", (2, 3, 3), 1),
    "rgb4_byte": ("XRGB", (4, 1, 2, 1), 1),
    "bgr4_byte": ("XBGR", (4, 1, 2, 1), 1),
    "x2rgb10": ("XRGB", (2, 10, 10, 10), 4),
    "x2bgr10": ("XBGR", (2, 10, 10, 10), 4),
    "xv30": ("XVYU", (2, 10, 10, 10), 4),
    "v30x": ("VYUX", (10, 10, 10, 2), 4),
}


def pixel_format(name: str) -> PixelFormat:
    """The row of an FFmpeg pixel format. Raises InputUnsupported for those that no row holds: floating point, raw
    sensor data, XYZ, and frames that a graphics card keeps."""
    is_big_endian = name.endswith("be")
    base = name[:-2] if name.endswith(("le", "be")) else name
    if base in _PACKED:
        samples, sampling, bits, shift = _PACKED[base]
        return PixelFormat(
            samples=samples, sampling=sampling, bit_depth=bits, shift=shift, is_big_endian=is_big_endian,
            is_full_range=bool(set("RP") & set(samples)),
        )  # fmt: skip
    if base in _WORDS:
        samples, fields, word_bytes = _WORDS[base]
        depth = max(8, *(bits for letter, bits in zip(samples, fields, strict=True) if letter != "X"))
        return PixelFormat(
            samples=samples, sampling="444", bit_depth=depth, fields=fields, word_bytes=word_bytes,
            is_big_endian=is_big_endian, is_full_range="R" in samples,
        )  # fmt: skip
    if base in ("monow", "monob"):
        return PixelFormat(samples="Y", sampling="gray", bit_depth=8, fields=(1,), is_full_range=True)
    if (match := _PLANAR.match(base)) is not None:
        return _planar(match, is_big_endian)
    raise InputUnsupported(
        f"The pixel format {name} holds floating point or raw samples, which networks and codecs are not given.",
        hint="Convert the video first, e.g. with ffmpeg -pix_fmt yuv444p16le.",
    )


def _planar(match: re.Match[str], is_big_endian: bool) -> PixelFormat:
    family, bits = match[1], int(match[3] or 8)
    sampling: Sampling = "gray" if family == "gray" else match[2] or "444"  # type: ignore[assignment]
    return PixelFormat(
        samples=_PLANAR_SAMPLES[family],
        sampling=sampling,
        bit_depth=bits,
        shift=16 - bits if match[4] else 0,
        is_big_endian=is_big_endian,
        is_full_range=family in ("yuvj", "gbr", "gbra"),
    )
