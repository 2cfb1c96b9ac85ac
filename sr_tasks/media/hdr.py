"""Static HDR metadata: what FFmpeg's structs say, and how each encoder is told of it."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from sr_tasks.records.media import HdrInfo


@dataclass(frozen=True, kw_only=True)
class MasteringDisplay:
    """SMPTE ST 2086: x and y of red, green, blue and white, and the luminance in cd/m2. None: not stated."""

    red: tuple[Fraction, Fraction]
    green: tuple[Fraction, Fraction]
    blue: tuple[Fraction, Fraction]
    white: tuple[Fraction, Fraction]
    min_luminance: Fraction
    max_luminance: Fraction
    has_primaries: bool
    has_luminance: bool


def mastering_display(hdr: HdrInfo) -> MasteringDisplay | None:
    """What FFmpeg's AVMasteringDisplayMetadata says: ten AVRationals, then two flags. None: nothing."""
    if len(hdr.mastering_display) < 88:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack("<22i", hdr.mastering_display[:88])
    values = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
    pairs = [(values[i], values[i + 1]) for i in range(0, 8, 2)]
    return MasteringDisplay(
        red=pairs[0], green=pairs[1], blue=pairs[2], white=pairs[3], min_luminance=values[8], max_luminance=values[9],
        has_primaries=bool(has_primaries), has_luminance=bool(has_luminance),
    )  # fmt: skip


def content_light(hdr: HdrInfo) -> tuple[int, int] | None:
    """MaxCLL and MaxFALL in cd/m2 (CTA-861.3), as FFmpeg's AVContentLightMetadata holds them. None: not stated."""
    if len(hdr.content_light_level) < 8:
        return None
    peak, average = struct.unpack("<2I", hdr.content_light_level[:8])
    return peak, average


def x26x_params(hdr: HdrInfo, display_key: str, light_key: str) -> dict[str, str]:
    """In the form x264 and x265 take: chromaticities in 0.00002, luminances in 0.0001 cd/m2."""
    params: dict[str, str] = {}
    if display := mastering_display(hdr):
        params[display_key] = _spelled(display, lambda v: str(round(v * 50000)), lambda v: str(round(v * 10000)))
    if light := content_light(hdr):
        params[light_key] = f"{light[0]},{light[1]}"
    return params


def svt_params(hdr: HdrInfo) -> dict[str, str]:
    """In the form SVT-AV1 takes: decimal numbers."""
    params: dict[str, str] = {}
    if display := mastering_display(hdr):
        params["mastering-display"] = _spelled(display, lambda v: f"{float(v):.6f}", lambda v: f"{float(v):.6f}")
    if light := content_light(hdr):
        params["content-light"] = f"{light[0]},{light[1]}"
    return params


def _spelled(
    display: MasteringDisplay, chromaticity: Callable[[Fraction], str], luminance: Callable[[Fraction], str]
) -> str:
    points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    text = "".join(f"{name}({chromaticity(x)},{chromaticity(y)})" for name, (x, y) in points.items())
    return f"{text}L({luminance(display.max_luminance)},{luminance(display.min_luminance)})"
