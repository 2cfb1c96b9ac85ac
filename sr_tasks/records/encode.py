"""What decides the bytes of an encoded chunk, beside the pictures."""

from dataclasses import dataclass
from fractions import Fraction

from sr_tasks.records.media import HdrInfo


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """Everything that decides the bytes of an encoded chunk, beside the pictures."""

    codec: str
    crf: float
    preset: str
    threads: int
    width: int
    height: int
    pix_fmt: str
    time_base: Fraction
    average_rate: Fraction
    color_range: int
    color_primaries: int
    color_trc: int
    colorspace: int
    chroma_location: int
    sample_aspect_ratio: Fraction
    hdr: HdrInfo
    is_rgb: bool = False
    """The source is RGB: its colours are to come back, so that chroma counts as much as luma."""
