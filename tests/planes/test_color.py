"""The codes of colours, against what the standards print and against what FFmpeg's own converter makes."""

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation

from sr_tasks.errors import InputUnsupported
from sr_tasks.planes.color import Coding

LIMITED, FULL = 1, 2
EXACT = int(Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT)

BARS = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]
"""White, yellow, cyan, green, magenta, red, blue, black."""

BARS_709 = [(180, 128, 128), (168, 44, 136), (145, 147, 44), (133, 63, 52),
            (63, 193, 204), (51, 109, 212), (28, 212, 120), (16, 128, 128)]  # fmt: skip
"""75 % bars as SMPTE RP 219 prints them."""

BARS_601 = [(180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58),
            (84, 184, 198), (65, 100, 212), (35, 212, 114), (16, 128, 128)]  # fmt: skip
"""75 % bars as SMPTE EG 1 gives them in the codes of BT.601."""


def codes_of(coding: Coding, rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = rgb
    luma = coding.red * red + coding.green * green + coding.blue * blue
    of_blue, of_red = coding.to_chroma
    return (
        coding.luma_low + coding.luma_span * luma,
        coding.chroma_mid + of_blue * (blue - luma),
        coding.chroma_mid + of_red * (red - luma),
    )


def rgb_of(coding: Coding, codes: tuple[float, ...]) -> list[float]:
    factor, offset = coding.from_luma
    u, v = codes[1] - coding.chroma_mid, codes[2] - coding.chroma_mid
    return [codes[0] * factor + offset + by_u * u + by_v * v for by_u, by_v in coding.from_chroma]


@pytest.mark.parametrize(("colorspace", "printed"), [(1, BARS_709), (5, BARS_601), (6, BARS_601)])
def test_colour_bars_have_the_codes_that_are_printed_in_the_standards(
    colorspace: int, printed: list[tuple[int, int, int]]
) -> None:
    coding = Coding.of(colorspace, LIMITED, 8)
    for (red, green, blue), expected in zip(BARS, printed, strict=True):
        assert [round(code) for code in codes_of(coding, (0.75 * red, 0.75 * green, 0.75 * blue))] == list(expected)


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("colorspace", [1, 4, 5, 6, 7, 9])
def test_what_makes_codes_of_a_colour_is_undone_by_what_makes_a_colour_of_codes(
    colorspace: int, color_range: int, bit_depth: int
) -> None:
    coding = Coding.of(colorspace, color_range, bit_depth)
    for rgb in [*BARS, (0.2, 0.7, 0.4), (1.09, -0.07, 0.5)]:
        assert rgb_of(coding, codes_of(coding, rgb)) == pytest.approx(rgb, abs=1e-12)


@pytest.mark.parametrize("bit_depth", [8, 10, 12])
@pytest.mark.parametrize("colorspace", [1, 4, 6, 7, 9])
def test_white_black_and_the_purest_blue_and_red_lie_on_the_limits_of_their_range(
    colorspace: int, bit_depth: int
) -> None:
    step, peak = 2 ** (bit_depth - 8), 2**bit_depth - 1
    limited, full = (Coding.of(colorspace, one, bit_depth) for one in (LIMITED, FULL))
    assert codes_of(limited, (1, 1, 1)) == pytest.approx((235 * step, 128 * step, 128 * step))
    assert codes_of(limited, (0, 0, 0)) == pytest.approx((16 * step, 128 * step, 128 * step))
    assert codes_of(limited, (0, 0, 1))[1] == pytest.approx(240 * step)
    assert codes_of(limited, (0, 1, 1))[2] == pytest.approx(16 * step)
    assert codes_of(full, (1, 1, 1)) == pytest.approx((peak, 128 * step, 128 * step))
    assert codes_of(full, (0, 0, 0)) == pytest.approx((0, 128 * step, 128 * step))
    assert codes_of(full, (1, 0, 0))[2] == pytest.approx(128 * step + peak / 2)


@pytest.mark.parametrize("color_range", [LIMITED, FULL])
@pytest.mark.parametrize("colorspace", [1, 4, 5, 7, 9])
def test_colours_are_those_that_ffmpeg_makes_of_the_same_codes(colorspace: int, color_range: int) -> None:
    coding = Coding.of(colorspace, color_range, 8)
    rng = np.random.default_rng(0)
    rgb = rng.integers(20, 236, (16, 16, 3))
    codes = np.rint(np.stack(codes_of(coding, tuple(np.moveaxis(rgb / 255, -1, 0))))).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(codes, format="yuv444p")
    frame.colorspace, frame.color_range = colorspace, color_range
    seen = frame.reformat(
        format="rgb24", src_colorspace=colorspace, dst_colorspace=colorspace, src_color_range=color_range,
        dst_color_range=FULL, interpolation=EXACT,
    ).to_ndarray()  # fmt: skip
    expected = 255 * np.moveaxis(np.array(rgb_of(coding, tuple(codes.astype(np.float64)))), 0, -1)
    assert np.abs(seen - expected).max() < 1.2, "more than both roundings"


@pytest.mark.parametrize(
    ("colorspace", "name"), [(0, "GBR"), (8, "YCgCo"), (10, "constant luminance"), (14, "ICtCp"), (99, "unknown")]
)
def test_a_matrix_that_is_none_of_luma_and_colour_differences_is_refused_by_name(colorspace: int, name: str) -> None:
    with pytest.raises(InputUnsupported, match=rf"{name} \({colorspace}\)") as caught:
        Coding.of(colorspace, LIMITED, 8)
    assert "model of luma" in caught.value.hint
