"""How large an output is, and how far the network enlarges for it. Opens nothing."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from sr_tasks.records.colour import aspect_of
from sr_tasks.records.media import VideoInfo

Size = tuple[int, int]
"""Width and height in px."""

NAMED: Final = {"720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "2160p": (3840, 2160)}
"""Boxes by name: width and height of a picture that is wider than high."""
AUTO_SCALES: Final = (2, 4)
"""Scales of a network among which one is chosen for a size, where the model is chosen too."""
_PAST_NETWORK: Final = 2
"""A size may be so many times what the largest scale of the network reaches; plain resampling does the rest."""


def output_size(video: VideoInfo, scale: int, size: str | None) -> Size:
    """Of the coded picture. With a `size`, the largest one whose picture, as players show it, fits inside.

    The shape of a pixel stays that of the source. Both sides are even, but at scale 1. A named size is turned for a
    picture that is higher than wide; `WIDTHxHEIGHT` is taken as it is. A picture that players turn by a quarter is
    fitted turned.
    """
    if size is None:
        width, height = video.width * scale, video.height * scale
        return (width + width % 2, height + height % 2) if scale > 1 else (width, height)
    aspect = aspect_of(video)
    is_turned = video.rotation % 180 == 90
    is_high = (video.height > video.width * aspect) != is_turned
    across, down = NAMED[size] if size in NAMED else (int(side) for side in size.split("x"))
    if (size in NAMED and is_high) != is_turned:
        across, down = down, across
    within = across / aspect, Fraction(down)
    factor = min(within[0] / video.width, within[1] / video.height)
    return _even(video.width * factor, within[0]), _even(video.height * factor, within[1])


def _even(side: Fraction, most: Fraction) -> int:
    """The nearest even number that is not past `most`."""
    nearest = 2 * math.floor(side / 2 + Fraction(1, 2))
    return max(2, nearest if nearest <= most else nearest - 2)


def network_scale(video: VideoInfo, output: Size, scales: Sequence[int]) -> int | None:
    """The smallest of a network's scales that reaches `output`; the largest if that falls short by a factor of two at
    most. None if it falls shorter, or if there are no scales."""
    needed = max(Fraction(output[0], video.width), Fraction(output[1], video.height))
    reaching = [scale for scale in scales if scale >= needed]
    if reaching:
        return min(reaching)
    return max(scales) if scales and needed <= max(scales) * _PAST_NETWORK else None
