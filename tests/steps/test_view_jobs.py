"""Whole jobs on 360 degree and stereo 3D sources: outputs say what their sources say, by ffprobe's reading."""

import json
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import InputUnsupported
from tests import readers
from tests.steps.conftest import Enhance

SOURCES = {
    "sphere": ["--projection-type", "0:1", "--projection-pose-yaw", "0:20", "--projection-pose-pitch", "0:-10",
               "--projection-pose-roll", "0:5"],
    "tile": ["--projection-type", "0:1", "--projection-private", "0:0000000000000001000000020000000300000004"],
    "cube": ["--projection-type", "0:2", "--projection-private", "0:000000000000000000000008"],
    "side by side": ["--stereo-mode", "0:1"],
    "right eye first": ["--stereo-mode", "0:11"],
    "stereo sphere": ["--projection-type", "0:1", "--stereo-mode", "0:3"],
}  # fmt: skip
TARGETS = [("h264", ".mp4"), ("hevc", ".mkv"), ("vp9", ".webm")]
NOT_SAID = ("right eye first", ".mp4")


def source(folder: Path, name: str) -> Path:
    plain = readers.ffmpeg(folder / "plain.mp4", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.2", *readers.H264)
    path = folder / "a.mkv"
    readers.run("mkvmerge", "-q", "-o", path, *SOURCES[name], plain)
    return path


def said(path: Path) -> list[dict[str, Any]]:
    """The side data of the picture stream; bounds of tiles are px, which grow with the picture, and are left out."""
    side_data = readers.streams(path)[0].get("side_data_list", [])
    return [{key: value for key, value in one.items() if not key.startswith("bound_")} for one in side_data]


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    streams = json.loads(Path(result["manifest"]).read_text())["streams"]
    return [(row["codec"], row["fate"]) for row in streams if row["type"] == "side data"]


@pytest.mark.parametrize(("codec", "suffix"), TARGETS)
@pytest.mark.parametrize("name", SOURCES)
def test_projection_and_stereo_are_stated_by_the_outputs_container(
    name: str, codec: str, suffix: str, tmp_path: Path, enhance: Enhance
) -> None:
    path = source(tmp_path, name)
    if (name, suffix) == NOT_SAID:
        with pytest.raises(InputUnsupported, match="stereo 3D"):
            enhance(path, f"out{suffix}", codec=codec, gate=False, strict=True)
        return
    result = enhance(path, f"out{suffix}", codec=codec, gate=False, strict=True)
    wanted = [{key: 16 if key == "padding" else value for key, value in one.items()} for one in said(path)]
    assert wanted
    assert said(Path(result["output"])) == wanted
    assert [fate for _, fate in rows(result)] == ["kept"] * len(wanted)


@pytest.mark.parametrize("name", ["sphere", "side by side", "stereo sphere"])
def test_what_mov_does_not_say_of_a_view_is_listed_as_dropped(name: str, tmp_path: Path, enhance: Enhance) -> None:
    result = enhance(source(tmp_path, name), "out.mov", gate=False)
    assert said(Path(result["output"])) == []
    assert {fate for _, fate in rows(result)} == {"dropped"}


@pytest.mark.parametrize("mode", [7, 9, 5])
def test_views_that_are_mixed_line_by_line_are_not_called_so_when_enlarged(
    mode: int, tmp_path: Path, enhance: Enhance
) -> None:
    path = tmp_path / "b.mkv"
    readers.run("mkvmerge", "-q", "-o", path, "--stereo-mode", f"0:{mode}", source(tmp_path, "sphere"))
    result = enhance(path, "out.mkv", gate=False)
    assert "Stereo 3D" not in {one["side_data_type"] for one in said(Path(result["output"]))}
    assert ("stereo 3D metadata", "dropped") in rows(result)
