"""What colour tags mean, above all those that say nothing. Tags are FFmpeg's numbers; this changes none of them.

- Range: one that says nothing is limited for YUV and gray, full for RGB.
- Matrix: one that says nothing is BT.709 from 720 lines on, else BT.601, as players assume.
- Primaries and transfer: one that says nothing has no value that it stands for.
- Sample aspect ratio: 0:1 is 1:1.
- Rotation: whole turns count for nothing.
"""

from fractions import Fraction
from typing import Final

from sr_tasks.records.media import VideoInfo

LIMITED: Final = 1
FULL: Final = 2
UNSPECIFIED: Final = 2
"""AVCOL_PRI_UNSPECIFIED, AVCOL_TRC_UNSPECIFIED, AVCOL_SPC_UNSPECIFIED. The range has 0 for it."""
BT709: Final = 1
SMPTE170M: Final = 6
_HD_LINES = 720


def range_of(video: VideoInfo) -> int:
    """AVColorRange that the pictures have: LIMITED or FULL."""
    if video.color_range in (LIMITED, FULL):
        return video.color_range
    return FULL if video.pix_fmt.startswith(("gbr", "rgb", "bgr")) else LIMITED


def names_matrix(video: VideoInfo) -> bool:
    """Whether the colorspace tag says anything."""
    return video.colorspace not in (UNSPECIFIED, 3)


def matrix_of(video: VideoInfo) -> int:
    """AVColorSpace that the pictures have; 0 (RGB) says nothing of YUV planes."""
    if names_matrix(video) and video.colorspace != 0:
        return video.colorspace
    return BT709 if video.height >= _HD_LINES else SMPTE170M


def tag_of(number: int) -> int:
    """A primaries or transfer tag, with the numbers that FFmpeg reserves taken as unspecified."""
    return UNSPECIFIED if number in (0, 3) else number


def aspect_of(video: VideoInfo) -> Fraction:
    """Width of a pixel divided by its height."""
    numerator, denominator = (int(part) for part in video.sample_aspect_ratio.split(":"))
    return Fraction(numerator, denominator) if numerator and denominator else Fraction(1)
