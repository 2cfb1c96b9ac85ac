"""What the codes of Y, U and V mean in R'G'B', by the standards' own numbers. Pure arithmetic, no graph and no picture.

Numbers and equations are those of ITU-T H.273, clause 8.3; each entry names the standard it comes from.
"""

from dataclasses import dataclass
from typing import Final

from sr_tasks.errors import InputUnsupported

LUMA_SHARES: Final = {
    1: (0.2126, 0.0722),  # ITU-R BT.709-6
    4: (0.30, 0.11),  # FCC, Title 47 CFR 73.682
    5: (0.299, 0.114),  # ITU-R BT.601-7, 625 lines
    6: (0.299, 0.114),  # ITU-R BT.601-7, 525 lines; SMPTE ST 170
    7: (0.212, 0.087),  # SMPTE ST 240
    9: (0.2627, 0.0593),  # ITU-R BT.2020-2 and BT.2100-2, non-constant luminance
}
"""KR and KB of each AVColorSpace, whose numbers are those of H.273."""

_NAMES: Final = {
    0: "GBR",
    2: "unspecified",
    8: "YCgCo",
    10: "BT.2020 with constant luminance",
    11: "SMPTE ST 2085",
    12: "derived from the primaries",
    13: "derived from the primaries, with constant luminance",
    14: "ICtCp",
}

_FULL: Final = 2


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How R'G'B' in 0..1 is written as codes: Y = luma_low + luma_span * Y', and C = chroma_mid + chroma_span * C'
    with C' in -0.5..0.5. Codes beyond stand for colours beyond 0..1, which sources do have."""

    red: float
    """KR, the share of red in luma."""
    blue: float
    """KB, the share of blue in luma."""
    luma_low: float
    luma_span: float
    chroma_mid: float
    chroma_span: float

    @classmethod
    def of(cls, colorspace: int, color_range: int, bit_depth: int) -> "Coding":
        """The coding of an AVColorSpace and an AVColorRange; a range other than full counts as limited.

        Raises InputUnsupported for a matrix that is none of luma and two colour differences.
        """
        if colorspace not in LUMA_SHARES:
            raise InputUnsupported(
                f"The source's colour matrix is {_NAMES.get(colorspace, 'unknown')} ({colorspace}), "
                "which models of RGB are not fed from.",
                hint="Choose a model of luma, or convert the source to BT.709 or BT.2020 first.",
            )
        red, blue = LUMA_SHARES[colorspace]
        peak, step = 2**bit_depth - 1, 2 ** (bit_depth - 8)
        is_full = color_range == _FULL
        return cls(
            red=red,
            blue=blue,
            luma_low=0.0 if is_full else 16.0 * step,
            luma_span=float(peak if is_full else 219 * step),
            chroma_mid=128.0 * step,
            chroma_span=float(peak if is_full else 224 * step),
        )

    @property
    def green(self) -> float:
        """KG, the share of green in luma."""
        return 1.0 - self.red - self.blue

    @property
    def from_luma(self) -> tuple[float, float]:
        """Factor and offset that make Y' of a code."""
        return 1.0 / self.luma_span, -self.luma_low / self.luma_span

    @property
    def from_chroma(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """What is added to Y' to have R', G' and B': factors of the codes (U - chroma_mid, V - chroma_mid) of each."""
        blue, red = 2.0 * (1.0 - self.blue) / self.chroma_span, 2.0 * (1.0 - self.red) / self.chroma_span
        return (0.0, red), (-self.blue / self.green * blue, -self.red / self.green * red), (blue, 0.0)

    @property
    def to_chroma(self) -> tuple[float, float]:
        """Factors that make codes, less chroma_mid, of the differences B' - Y' and R' - Y'."""
        return 0.5 * self.chroma_span / (1.0 - self.blue), 0.5 * self.chroma_span / (1.0 - self.red)

    def beyond(self, peak: int) -> tuple[float, float]:
        """The Y' of the lowest and of the highest code there is."""
        return -self.luma_low / self.luma_span, (peak - self.luma_low) / self.luma_span
