"""R'G'B' to Y'CbCr 4:4:4 by the matrix of BT.709: exact up to the rounding of the target's codes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.arrays import Plane
from sr_tasks.planes.color import Coding
from sr_tasks.records.colour import BT709, FULL

COLORSPACE: Final = BT709
COLOR_RANGE: Final = FULL


def to_ycbcr(
    red: Plane, green: Plane, blue: Plane, bits: int, new_bits: int, color_range: int = COLOR_RANGE
) -> tuple[NDArray[np.float32], ...]:
    """Y', Cb and Cr in codes of `new_bits` and of that AVColorRange, not yet rounded, of colours in codes of `bits`.

    With two more bits than the colours have, the rounded codes give every colour back.
    """
    coding = Coding.of(COLORSPACE, color_range, new_bits)
    scale = np.float32(1.0 / (2**bits - 1))
    r, g, b = (plane.astype(np.float32) * scale for plane in (red, green, blue))
    luma = np.float32(coding.red) * r + np.float32(coding.green) * g + np.float32(coding.blue) * b
    to_blue, to_red = coding.to_chroma
    middle = np.float32(coding.chroma_mid)
    return (
        luma * np.float32(coding.luma_span) + np.float32(coding.luma_low),
        (b - luma) * np.float32(to_blue) + middle,
        (r - luma) * np.float32(to_red) + middle,
    )


def from_ycbcr(y: Plane, cb: Plane, cr: Plane, bits: int, new_bits: int) -> tuple[Plane, Plane, Plane]:
    """The colours, in codes of `new_bits`, that codes of `bits` and of full range stand for, cut to 0..white: the way
    back of `to_ycbcr`."""
    coding = Coding.of(COLORSPACE, COLOR_RANGE, bits)
    factor, offset = coding.from_luma
    luma = y.astype(np.float32) * np.float32(factor) + np.float32(offset)
    blue_less, red_less = (plane.astype(np.float32) - np.float32(coding.chroma_mid) for plane in (cb, cr))
    peak = np.float32(2**new_bits - 1)
    dtype = np.uint8 if new_bits == 8 else np.uint16

    def channel(of_blue: float, of_red: float) -> Plane:
        value = luma + np.float32(of_blue) * blue_less + np.float32(of_red) * red_less
        rounded: Plane = np.clip(np.floor(value * peak + np.float32(0.5)), 0, peak).astype(dtype)
        return rounded

    red, green, blue = (channel(*factors) for factors in coding.from_chroma)
    return red, green, blue
