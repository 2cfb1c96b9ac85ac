"""The video codecs that outputs may have, one row each: what a codec holds, what it costs, where it fits."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from sr_tasks.records.layout import PlaneLayout

Codec = Literal["h264", "hevc", "av1", "vp9", "prores", "ffv1"]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]

_SLOW_PRESETS: Final = frozenset({"slow", "slower", "veryslow"})


@dataclass(frozen=True, kw_only=True)
class VideoCodec:
    """A codec as a job may ask for it."""

    name: str
    """FFmpeg's name of the codec."""
    encoder: str
    """FFmpeg's name of the encoder."""
    pix_fmts: frozenset[str]
    """Pixel formats that the encoder takes, by FFmpeg's names."""
    crf: int | None
    """Default quality, visually close to transparent for an enlarged picture. None: the codec has no such setting."""
    max_crf: int = 0
    best_crf: int = 4
    """The lowest that a job with a bitrate or a size uses: below it nobody sees more."""
    crf_step: float = 0.05
    """How finely such a job chooses."""
    has_whole_crfs: bool = False
    """Whether the encoder takes whole numbers alone."""
    is_lossless: bool = False
    is_limited_range: bool = False
    """Whether every decoder takes the pictures for limited range, whatever is said of them."""
    bits_per_px: float
    """Generous size at the default quality, for the disk check alone."""
    encode_s: float
    """Seconds of one thread that a megapixel takes to encode with presets up to medium, measured."""
    slow_encode_s: float
    """The same with slower presets."""
    muxers: frozenset[str]
    """FFmpeg muxers, of those that outputs may have, whose files hold the codec."""
    carries_captions: bool = False
    """Whether closed captions of a source are written into the encoded pictures."""
    alpha_muxers: frozenset[str] = frozenset({"mov", "matroska"})
    """Those that hold its alpha too, if it has any."""
    chunk_muxer: str = "nut"
    """FFmpeg muxer of chunk files: one that holds the codec and keeps any time base exactly."""
    suffix: str = ".mkv"
    """Of the output where the source's own container does not hold the codec."""

    @property
    def layouts(self) -> tuple[PlaneLayout, ...]:
        """How frames of `pix_fmts` lie in planes."""
        return tuple(layout for layout in map(PlaneLayout.of, sorted(self.pix_fmts)) if layout is not None)

    def encoding_s(self, preset: Preset) -> float:
        """Seconds of one thread that a megapixel takes to encode."""
        return self.slow_encode_s if preset in _SLOW_PRESETS else self.encode_s


def _planar(chroma: Iterable[str], bit_depths: Iterable[int], alpha: bool = False) -> frozenset[str]:
    bases = ("gray" if one == "gray" else f"yuv{'a' if alpha else ''}{one}p" for one in chroma)
    depths = tuple(bit_depths)
    return frozenset(base if depth == 8 else f"{base}{depth}le" for base in bases for depth in depths)


_ALL_CHROMA = ("420", "422", "444", "gray")
_ROWS = (
    VideoCodec(
        name="h264",
        encoder="libx264",
        pix_fmts=_planar(("420", "422", "444"), (8, 10)),  # FFmpeg decodes its gray as 4:2:0
        crf=17,
        max_crf=51,
        bits_per_px=0.25,
        encode_s=0.06,
        slow_encode_s=0.2,
        muxers=frozenset({"mp4", "mov", "matroska"}),
        carries_captions=True,
    ),
    VideoCodec(
        name="hevc",
        encoder="libx265",
        pix_fmts=_planar(_ALL_CHROMA, (8, 10, 12)),
        crf=19,
        max_crf=51,
        bits_per_px=0.2,
        encode_s=0.3,
        slow_encode_s=3.1,
        muxers=frozenset({"mp4", "mov", "matroska"}),
        carries_captions=True,
    ),
    VideoCodec(
        name="av1",
        encoder="libsvtav1",
        pix_fmts=_planar(("420",), (8, 10)),
        crf=20,
        max_crf=63,
        crf_step=0.25,
        bits_per_px=0.2,
        encode_s=0.06,
        slow_encode_s=0.25,
        muxers=frozenset({"mp4", "matroska", "webm"}),
    ),
    VideoCodec(
        name="vp9",
        encoder="libvpx-vp9",
        # Players know its alpha with 4:2:0 alone.
        pix_fmts=_planar(("420", "422", "444"), (8,)) | _planar(("420",), (8,), alpha=True),
        crf=16,
        max_crf=63,
        has_whole_crfs=True,
        bits_per_px=0.3,
        encode_s=0.3,
        slow_encode_s=0.7,
        muxers=frozenset({"mp4", "matroska", "webm"}),
        alpha_muxers=frozenset({"matroska", "webm"}),
        suffix=".webm",
    ),
    VideoCodec(
        name="prores",
        encoder="prores_ks",
        pix_fmts=_planar(("422", "444"), (10,)) | _planar(("444",), (10,), alpha=True),
        crf=None,
        is_limited_range=True,
        bits_per_px=8.0,
        encode_s=0.4,
        slow_encode_s=0.4,
        muxers=frozenset({"mov", "matroska"}),
        chunk_muxer="mov",
        suffix=".mov",
    ),
    VideoCodec(
        name="ffv1",
        encoder="ffv1",
        # Those that decoders of the last years read; FFmpeg's encoder has some more.
        pix_fmts=_planar(_ALL_CHROMA, (8, 10, 12, 16))
        | _planar(("420", "422", "444"), (14,))
        | _planar(("420", "422", "444"), (8, 10, 16), alpha=True),
        crf=None,
        is_lossless=True,
        bits_per_px=8.0,
        encode_s=0.03,
        slow_encode_s=0.03,
        muxers=frozenset({"matroska"}),
    ),
)

CODECS: Final = MappingProxyType({row.name: row for row in _ROWS})
"""By the name that a job asks for."""
