"""`models compare`: one sheet with the same places of a clip by several models."""

import base64
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from sr_tasks.__main__ import main
from sr_tasks.config import Settings
from sr_tasks.errors import InputInvalid, ModelUnknown, UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps.compare import compare
from tests.clips import make


def images(page: Path) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page.read_text())
    return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in found]


def test_a_sheet_shows_the_same_places_by_each_model(tmp_path: Path, settings: Settings) -> None:
    clip = make(tmp_path / "clip.mp4", width=320, height=192, frames=40)
    page = tmp_path / "sheet.html"
    result = compare(["bicubic", "compact-x2@1", "compact-x2@2"], JobSpec(source=str(clip)), page, settings)
    assert [row["label"] for row in result["models"]] == ["bicubic@1", "compact-x2@1", "compact-x2@2"]
    assert all(row["frame_ms"] > 0 and row["closeness_db"] > 30 for row in result["models"])
    bicubic, first, second = (row["sharpness"] for row in result["models"])
    assert bicubic < first
    assert bicubic < second
    shown = images(page)
    assert len(shown) % 4 == 0
    for place in range(0, len(shown), 4):
        source, *outputs = shown[place : place + 4]
        for output in outputs:
            assert output.shape[0] == 2 * source.shape[0]
            small = cv2.resize(output, source.shape[1::-1], interpolation=cv2.INTER_AREA)
            assert cv2.PSNR(small, source) > 28
        assert not np.array_equal(outputs[0], outputs[1])


def test_the_command_line_writes_the_sheet_and_says_where(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make(tmp_path / "clip.mp4", frames=20)
    page = tmp_path / "two.html"
    asked = ["models", "compare", "bicubic", "compact-x2", "--source", str(clip), "--sheet", str(page)]
    assert main([*asked, "--workdir", str(settings.workdir)]) == 0
    assert f"Look at {page}." in capsys.readouterr().out
    assert page.is_file()


@pytest.mark.parametrize(
    ("models", "frames", "error"),
    [(["compact-x2", "compact-x2@2"], 8, UsageError), (["bicubic", "nobody"], 8, ModelUnknown)],
)
def test_what_cannot_be_compared_is_refused_and_leaves_no_sheet(
    tmp_path: Path, settings: Settings, models: list[str], frames: int, error: type[Exception]
) -> None:
    clip = make(tmp_path / "clip.mp4", frames=frames)
    with pytest.raises(error):
        compare(models, JobSpec(source=str(clip)), tmp_path / "sheet.html", settings)
    assert not (tmp_path / "sheet.html").exists()


def test_a_clip_that_shows_nothing_is_refused(tmp_path: Path, settings: Settings) -> None:
    clip = tmp_path / "black.mp4"
    black = ["-f", "lavfi", "-i", "color=black:s=96x64:d=0.4"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *black, str(clip)], check=True)
    with pytest.raises(InputInvalid, match="shows nothing"):
        compare(["bicubic", "compact-x2"], JobSpec(source=str(clip)), tmp_path / "sheet.html", settings)
