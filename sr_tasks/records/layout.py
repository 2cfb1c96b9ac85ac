"""How a frame lies in planes: names, sizes, depth. Holds for every frame on its way from decoder to encoder.

The registry reads this, so it loads no NumPy: what is made of arrays is in `arrays`.
"""

import re
from dataclasses import dataclass
from typing import Final

from sr_tasks.records.media import Chroma

Shapes = tuple[tuple[int, int], ...]
"""(rows, columns) of each plane."""

_PIX_FMT: Final = re.compile(r"^(?:yuv(j|a)?(420|422|444)p|(gray))(?:(10|12|14|16)le)?$")


@dataclass(frozen=True, kw_only=True)
class PlaneLayout:
    """The planes of a frame that a network can be given and an encoder can take."""

    chroma: Chroma
    bit_depth: int
    has_alpha: bool = False

    @classmethod
    def of(cls, pix_fmt: str) -> "PlaneLayout | None":
        """The layout of an FFmpeg pixel format; None for a format of another kind: see `formats`."""
        match = _PIX_FMT.match(pix_fmt)
        if match is None:
            return None
        chroma: Chroma = "gray" if match[3] else match[2]  # type: ignore[assignment]
        return cls(chroma=chroma, bit_depth=int(match[4] or 8), has_alpha=match[1] == "a")

    @property
    def pix_fmt(self) -> str:
        """FFmpeg's name of the pixel format."""
        base = "gray" if self.chroma == "gray" else f"yuv{'a' if self.has_alpha else ''}{self.chroma}p"
        return base if self.bit_depth == 8 else f"{base}{self.bit_depth}le"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the planes that a network is given: alpha is not among them."""
        return ("y",) if self.chroma == "gray" else ("y", "u", "v")

    @property
    def subsampling(self) -> tuple[int, int]:
        """Luma rows and luma columns of one chroma sample."""
        return (2 if self.chroma == "420" else 1), (2 if self.chroma in ("420", "422") else 1)

    def shapes(self, width: int, height: int) -> Shapes:
        """(rows, columns) of each plane that a network is given: halved axes of chroma round up."""
        down, across = self.subsampling
        chroma = (-(-height // down), -(-width // across))
        return ((height, width), chroma, chroma)[: len(self.names)]


@dataclass(frozen=True, kw_only=True)
class PixelWish:
    """What a job asks of its output's samples. None: whatever is nearest to the source."""

    bit_depth: int | None = None
    chroma: Chroma | None = None

    def admits(self, layout: PlaneLayout) -> bool:
        """Whether a layout is what is asked for."""
        return self.bit_depth in (None, layout.bit_depth) and self.chroma in (None, layout.chroma)


ANY: Final = PixelWish()
"""Nothing is asked for."""
