"""Whole jobs to a scale that no network has, and to a size. What comes out is read by Debian's ffprobe."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sr_tasks.errors import UsageError
from tests import readers
from tests.boxes import turned
from tests.readers import H264, ffmpeg
from tests.steps.conftest import Enhance


def clip(path: Path, size: str, *options: str) -> Path:
    return ffmpeg(path, "-f", "lavfi", "-i", f"testsrc=s={size}:r=25:d=0.4", *(options or H264))


def picture(path: Path) -> dict[str, Any]:
    return next(stream for stream in readers.streams(path) if stream["codec_type"] == "video")


def measures(path: Path) -> tuple[int, int, str]:
    found = picture(path)
    return found["width"], found["height"], found.get("sample_aspect_ratio", "1:1")


CASES = {
    "three times": ("96x64", {"scale": 3}, (288, 192, "1:1")),
    "three times, odd": ("95x63", {"scale": 3}, (286, 190, "1:1")),
    "by name": ("480x270", {"size": "720p"}, (1280, 720, "1:1")),
    "into a box": ("96x64", {"size": "150x150"}, (150, 100, "1:1")),
    "odd into a box": ("95x63", {"size": "201x201"}, (200, 134, "1:1")),
    "a little larger": ("96x64", {"size": "100x100"}, (100, 66, "1:1")),
    "further than the network": ("32x24", {"size": "200x150"}, (200, 150, "1:1")),
}


@pytest.mark.parametrize(("size", "spec", "wanted"), CASES.values(), ids=CASES)
def test_the_output_has_the_size_that_was_asked_for(
    size: str, spec: dict[str, Any], wanted: tuple[int, int, str], tmp_path: Path, enhance: Enhance
) -> None:
    options = H264 if int(size.split("x")[0]) % 2 == 0 else ("-pix_fmt", "yuv420p", "-c:v", "ffv1")
    source = clip(tmp_path / "in.mkv", size, *options)
    enhance(source, "out.mkv", **spec, **({} if options == H264 else {"codec": "ffv1"}))
    assert measures(tmp_path / "out.mkv") == wanted
    assert picture(tmp_path / "out.mkv")["pix_fmt"] == picture(source)["pix_fmt"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_wide_pixels_stay_wide_and_the_picture_that_players_show_fits(
    suffix: str, tmp_path: Path, enhance: Enhance
) -> None:
    """96x64 px of 4:3 are shown as 128x64: into 192x192 they fit as 192x96, which is 144x96 px."""
    source = clip(tmp_path / "in.mp4", "96x64", "-vf", "setsar=4/3", *H264)
    enhance(source, f"out{suffix}", size="192x192")
    assert measures(tmp_path / f"out{suffix}") == (144, 96, "4:3")


def test_a_picture_that_players_turn_is_fitted_turned(tmp_path: Path, enhance: Enhance) -> None:
    """96x64 px that are shown as 64x96 fit into 300x150 as 100x150."""
    source = turned(clip(tmp_path / "plain.mp4", "96x64"), tmp_path / "in.mp4", (0, 1, -1, 0, 64, 0))
    enhance(source, "out.mp4", size="300x150")
    assert measures(tmp_path / "out.mp4")[:2] == (150, 100)
    assert readers.exif(tmp_path / "out.mp4")["MatrixStructure"] == "0 1 0 -1 0 0 100 0 1"


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p16le", "gray", "yuva420p"])
def test_pictures_are_those_that_pillow_makes(pix_fmt: str, tmp_path: Path, enhance: Enhance) -> None:
    """Bicubic's four times as large output, resampled to three times: luma and chroma, by an independent program."""
    source = ffmpeg(tmp_path / "in.mkv", "-f", "lavfi", "-i", "testsrc2=s=60x44:r=25:d=0.12", "-vf",
                    f"gblur=1,format={pix_fmt}", "-c:v", "ffv1")  # fmt: skip
    for scale in (3, 4):
        enhance(source, f"x{scale}.mkv", scale=scale, codec="ffv1")
    pix_fmt, large = planes(tmp_path / "x4.mkv")
    assert planes(tmp_path / "x3.mkv")[0] == pix_fmt
    for index, (before, after) in enumerate(zip(large, planes(tmp_path / "x3.mkv")[1], strict=True)):
        rows, columns = after.shape
        is_left = index in (1, 2) and pix_fmt.startswith("yuv") and "420" in pix_fmt
        left = 0.25 - 0.25 * before.shape[1] / columns if is_left else 0.0
        box = (left, 0, before.shape[1] + left, before.shape[0])
        grown = np.pad(before, 8, mode="symmetric").astype(np.float32)
        inside = tuple(side + 8 for side in box)
        made = Image.fromarray(grown).resize((columns, rows), Image.Resampling.BICUBIC, box=inside)
        most = 0.51 + 1e-4 * float(before.max())
        wrong = np.abs(np.clip(np.asarray(made), 0, before.max()) - after)[:, 4:-4][4:-4]
        assert wrong.max() <= most + (1 if index else 0), (index, wrong.max())


def planes(path: Path) -> tuple[str, list[np.ndarray]]:
    """The planes of the first frame as ffmpeg decodes them."""
    stream = picture(path)
    pix_fmt, width, height = stream["pix_fmt"], stream["width"], stream["height"]
    raw = readers.run("ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-")
    data = np.frombuffer(raw, "<u2" if pix_fmt.endswith("le") else np.uint8)
    chroma = (height, width) if "444" in pix_fmt else (-(-height // 2), -(-width // 2))
    shapes = [(height, width)] + ([] if pix_fmt == "gray" else [chroma] * 2)
    shapes += [(height, width)] if pix_fmt.startswith("yuva") else []
    found = []
    for shape in shapes:
        found.append(data[: shape[0] * shape[1]].reshape(shape).astype(np.float32))
        data = data[shape[0] * shape[1] :]
    return pix_fmt, found


REFUSED = {
    "there already": ({"size": "96x64"}, UsageError, "not larger"),
    "smaller": ({"size": "64x64"}, UsageError, "not larger"),
    "out of reach": ({"size": "1000x1000"}, UsageError, "out of reach"),
    "a style at three times": ({"scale": 3, "model": "ink-wash"}, UsageError, "out of reach"),
}


@pytest.mark.parametrize(("spec", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_a_size_that_makes_no_sense_is_refused(
    spec: dict[str, Any], error: type[Exception], said: str, tmp_path: Path, enhance: Enhance
) -> None:
    source = clip(tmp_path / "in.mp4", "96x64")
    with pytest.raises(error, match=said):
        enhance(source, "out.mp4", **spec)
    assert not (tmp_path / "out.mp4").exists()
