"""`models golden`: models measured on a folder of the user's own clips."""

import json
from pathlib import Path

import pytest

from sr_tasks.__main__ import main
from tests import clips


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SR_WORKDIR", "SR_STATE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("SR_LOG_LEVEL", "ERROR")
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def test_a_model_is_measured_on_each_clip_and_what_is_no_clip_is_named(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips.make(own / "street.mp4", frames=4, width=352, height=240, options={"g": "2"})
    clips.make(own / "small.mp4", frames=2, width=64, height=48)
    (own / "notes.txt").write_text("no clip")
    assert main(["models", "golden", str(own), "bicubic", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["scenes"] == ["street.mp4 1", "street.mp4 2"]
    assert sorted(found["left_out"]) == ["notes.txt", "small.mp4"]
    assert "64x48 px, and 336x224 are needed" in found["left_out"]["small.mp4"]
    (model,) = found["models"]
    assert model["model"] == "bicubic@1"
    assert {"bicubic", "noise-6", "jpeg-50", "h264-32"} <= set(model["figures"])
    for figures in model["figures"].values():
        assert figures["gain_db"] == pytest.approx(0, abs=0.05), "bicubic gains nothing over bicubic"
    assert model["figures"]["clip"]["flicker"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bicubic", "bicubic@1"], "named twice"),
        (["bicubic", "--scale", "3"], "does not enlarge 3 times"),
        (["bicubic"], "No clip in"),
        (["nobody"], "nobody"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(
    own: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["models", "golden", str(own), *arguments]) != 0
    assert words in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "golden", str(own / "absent"), "bicubic"]) != 0
    assert "There is no folder" in capsys.readouterr().err
