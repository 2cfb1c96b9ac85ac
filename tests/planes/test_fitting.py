"""Resampling to any size, against Pillow and against the reference in float64."""

import numpy as np
import pytest
from PIL import Image

from sr_tasks.planes.fitting import fit, fitted
from sr_tasks.planes.scaling import cubic

SIZES = {
    "1440 to 1080": ((144, 256), (108, 192)),
    "4x to 3x": ((160, 96), (120, 72)),
    "an odd ratio": ((131, 97), (90, 74)),
    "larger": ((60, 44), (135, 80)),
    "smaller by far": ((200, 150), (24, 16)),
}


def noise(shape: tuple[int, int], depth: int) -> np.ndarray:
    codes = np.random.default_rng(7).integers(0, 2**depth, shape)
    return codes.astype(np.uint8 if depth == 8 else np.uint16)


def steps(src: tuple[int, int], dst: tuple[int, int]) -> tuple[float, float]:
    return src[0] / dst[0], src[1] / dst[1]


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
@pytest.mark.parametrize(("src", "dst"), SIZES.values(), ids=SIZES)
def test_every_sample_is_the_nearest_code_to_the_reference(
    src: tuple[int, int], dst: tuple[int, int], depth: int
) -> None:
    plane, peak = noise(src, depth), 2**depth - 1
    out = np.empty(dst, plane.dtype)
    fit(plane, out, steps(src, dst), peak=peak)
    exact = np.clip(cubic(plane.astype(np.float64), *dst), 0, peak)
    assert np.abs(out - exact).max() <= 0.5 + 2e-6 * peak
    assert abs(float((out - exact).mean())) < 0.02


@pytest.mark.parametrize(("src", "dst"), SIZES.values(), ids=SIZES)
def test_luma_is_as_pillow_resamples_it(src: tuple[int, int], dst: tuple[int, int]) -> None:
    plane = noise(src, 8)
    pillow = np.asarray(Image.fromarray(plane.astype(np.float32)).resize(dst[::-1], Image.Resampling.BICUBIC))
    inside = np.s_[4:-4, 4:-4]  # at the border Pillow leaves out what it lacks
    assert np.abs(fitted(plane, dst, steps(src, dst))[inside] - pillow[inside]).max() < 2e-3


def test_chroma_stays_where_it_lies_in_luma() -> None:
    """A slope of chroma has the same value at the same place of the picture, wherever its samples lie."""
    luma, target = (96, 144), (72, 108)
    for siting, place in (("centred", 0.5), ("co-sited", 0.25)):
        slope = np.tile((np.arange(luma[1] // 2) + place) * 2, (luma[0] // 2, 1)).astype(np.float64)
        wanted = (np.arange(target[1] // 2) + place) * 2 * luma[1] / target[1]
        got = fitted(slope, (target[0] // 2, target[1] // 2), steps(luma, target), ("centred", siting))
        assert np.abs(got[:, 4:-4] - wanted[4:-4]).max() < 0.06


def test_sides_of_chroma_that_were_rounded_up_move_nothing() -> None:
    """Of 75 columns of luma, chroma has 38; the ratio is still that of luma."""
    slope = np.tile((np.arange(38) + 0.25) * 2, (20, 1)).astype(np.float64)
    got = fitted(slope, (20, 25), (1.0, 75 / 50), ("centred", "co-sited"))
    assert np.abs(got[:, 4:-4] - ((np.arange(25) + 0.25) * 2 * 75 / 50)[4:-4]).max() < 0.06


def test_what_fewer_samples_cannot_hold_is_gone() -> None:
    """Columns that alternate become even gray, where a filter that is not stretched would leave stripes."""
    stripes = np.tile(np.array([0, 255], np.uint8), (40, 80))
    got = fitted(stripes, (20, 56), steps((40, 160), (20, 56)))
    assert np.abs(got[:, 3:-3] - 127.5).max() < 3
