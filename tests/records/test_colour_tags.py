"""What colour tags mean that say nothing."""

from typing import Any

from sr_tasks.records import colour
from sr_tasks.records.media import VideoInfo


def video(**changes: Any) -> VideoInfo:
    fields = {"pix_fmt": "yuv420p", "height": 480, "color_range": 0, "colorspace": 2, "sample_aspect_ratio": "0:1"}
    return VideoInfo.model_construct(**fields | changes)


def test_a_range_that_says_nothing_is_limited_for_yuv_and_gray_and_full_for_rgb() -> None:
    assert [colour.range_of(video(pix_fmt=name)) for name in ("yuv420p", "gray", "gbrp", "rgb24")] == [1, 1, 2, 2]
    assert colour.range_of(video(color_range=2)) == 2
    assert colour.range_of(video(pix_fmt="gbrp", color_range=1)) == 1


def test_a_matrix_that_says_nothing_goes_by_the_lines() -> None:
    assert [colour.matrix_of(video(height=lines)) for lines in (576, 719, 720, 2160)] == [6, 6, 1, 1]
    assert colour.matrix_of(video(height=2160, colorspace=9)) == 9


def test_an_aspect_that_says_nothing_is_square() -> None:
    assert colour.aspect_of(video()) == colour.aspect_of(video(sample_aspect_ratio="1:1")) == 1


def test_reserved_numbers_say_as_little_as_none() -> None:
    assert [colour.tag_of(number) for number in (0, 1, 2, 3, 9, 16)] == [2, 1, 2, 2, 9, 16]
    assert [colour.names_matrix(video(colorspace=number)) for number in (0, 1, 2, 3, 9)] == [
        True, True, False, False, True,
    ]  # fmt: skip
    assert colour.matrix_of(video(colorspace=3, height=1080)) == 1


def test_the_matrix_of_rgb_is_no_matrix_for_its_planes_of_yuv() -> None:
    """RGB's number 0 stays in the tag; what is computed with is that of the lines."""
    assert colour.matrix_of(video(colorspace=0, height=1080)) == 1
    assert colour.matrix_of(video(colorspace=0, height=480)) == 6
