"""A poster and a contact sheet beside the output of a video."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import TargetExists, UsageError
from sr_tasks.jobs.removal import remove_delivered
from sr_tasks.planes.metrics import psnr_db
from sr_tasks.storage.hashing import sha256_file
from tests.clips import Clip, make
from tests.readers import H264, ffmpeg
from tests.steps.conftest import Enhance
from tests.steps.pictures import rgb


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return psnr_db(float(np.mean((first.astype(np.float32) - second.astype(np.float32)) ** 2)))


def test_poster_and_sheet_show_the_output_as_players_do(enhance: Enhance, tmp_path: Path) -> None:
    """Turned, with px that are not square: 160x96 becomes 320x192, shown as 192x427."""
    clip = Clip(frames=40, sample_aspect_ratio=Fraction(4, 3), rotation=90, pix_fmt="yuv420p10le")
    result = enhance(make(tmp_path / "clip.mp4", clip), "out.mp4", poster=True, contact_sheet=True, codec="hevc")
    manifest = json.loads(Path(result["manifest"]).read_text())["pictures_beside"]
    shown = rgb(tmp_path / "out.mp4", 192, 427)
    poster = rgb(Path(result["poster"]), 192, 427)[0]
    (number,) = manifest["poster"]["frames"]
    assert result["poster"] == f"{tmp_path}/out.mp4.poster.jpg"
    assert (manifest["poster"]["width"], manifest["poster"]["height"]) == (192, 427)
    assert psnr(poster, shown[number]) > 32 > psnr(poster, shown[number][::-1]) + 6

    numbers, at = manifest["contact_sheet"]["frames"], manifest["contact_sheet"]
    assert (len(numbers), numbers) == (16, sorted(set(numbers)))
    assert (numbers[0], numbers[-1]) == (1, 38)
    sheet = rgb(Path(result["contact_sheet"]), at["width"], at["height"])[0]
    cells = rgb(tmp_path / "out.mp4", 144, 320)
    for row, column in ((0, 0), (1, 2), (3, 3)):
        y, x = 8 + row * (320 + 24), 8 + column * (144 + 8)
        assert psnr(sheet[y : y + 320, x : x + 144], cells[numbers[4 * row + column]]) > 30
    for kind in ("poster", "contact_sheet"):
        path = Path(result[kind])
        assert (manifest[kind]["sha256"], manifest[kind]["size_bytes"]) == (sha256_file(path), path.stat().st_size)


def test_a_poster_is_no_black_frame(enhance: Enhance, tmp_path: Path) -> None:
    fades = "testsrc2=s=96x64:r=25:d=2,fade=in:0:35:color=black"
    result = enhance(ffmpeg(tmp_path / "in.mp4", "-f", "lavfi", "-i", fades, *H264), poster=True)
    assert json.loads(Path(result["manifest"]).read_text())["pictures_beside"]["poster"]["frames"][0] >= 35
    assert "contact_sheet" not in result


def test_they_are_removed_with_the_output_and_never_replaced(
    enhance: Enhance, settings: Settings, tmp_path: Path
) -> None:
    source = make(tmp_path / "clip.mp4", frames=3)
    theirs = tmp_path / "out.mp4.poster.jpg"
    theirs.write_bytes(b"precious")
    with pytest.raises(TargetExists, match="poster"):
        enhance(source, "out.mp4", poster=True)
    theirs.unlink()
    result = enhance(source, "out.mp4", poster=True, contact_sheet=True)
    assert not list(settings.workdir.rglob("*.jpg"))
    job = json.loads(Path(result["manifest"]).read_text())["job"]["id"]
    remove_delivered(job, {key: result[key] for key in ("output", "manifest")}, settings)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["clip.mp4"]


def test_a_still_picture_has_neither(enhance: Enhance, tmp_path: Path) -> None:
    picture = ffmpeg(tmp_path / "in.png", "-f", "lavfi", "-i", "testsrc2=s=96x64", "-frames:v", "1")
    with pytest.raises(UsageError, match="still picture, which has no poster"):
        enhance(picture, "out.png", poster=True)
