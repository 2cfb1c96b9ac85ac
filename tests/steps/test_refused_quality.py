"""An output that the gate refuses is not delivered; its report is kept, and the work done for it too."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from sr_tasks import __main__ as cli
from sr_tasks.config import REPOSITORY
from tests.clips import Clip, make


@pytest.fixture
def strict_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry whose bicubic is held to a PSNR that no lossy output reaches."""
    folder = tmp_path / "models"
    shutil.copytree(REPOSITORY / "include" / "models" / "bicubic", folder / "bicubic")
    path = folder / "bicubic" / "1" / "card.yaml"
    card = yaml.safe_load(path.read_text())
    card["gate"]["global_psnr_min"] = 99.0
    path.write_text(yaml.safe_dump(card))
    monkeypatch.setenv("SR_MODELS_DIR", str(folder))


@pytest.mark.usefixtures("strict_models")
def test_refused_quality_exits_4_delivers_nothing_and_keeps_report_and_chunks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = make(tmp_path / "clip.mp4", Clip(frames=20)), tmp_path / "out.mp4"
    command = ["enhance", str(source), str(output), "--model", "bicubic", "--workdir", str(tmp_path / "w"), "--json"]
    assert cli.main(command) == 4
    error = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["error"]
    assert (error["code"], error["retryable"]) == ("QUALITY_REFUSED", False)
    assert "PSNR" in error["message"]
    assert not output.exists()
    reports = list((tmp_path / "w" / "jobs").rglob("report.html"))
    assert len(reports) == 1
    assert str(reports[0]) in error["hint"]
    assert not list((tmp_path / "w").rglob("output.mp4"))
    assert cli.main([*command, "--no-gate"]) == 0
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["resumed_chunks"] == 1
    assert output.is_file()
    assert not list((tmp_path / "w" / "chunks").glob("*/*"))


@pytest.mark.usefixtures("strict_models")
def test_verify_says_what_is_wrong_and_exits_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = make(tmp_path / "clip.mp4", Clip(frames=20)), tmp_path / "out.mp4"
    common = ["--model", "bicubic", "--workdir", str(tmp_path / "w"), "--json"]
    assert cli.main(["enhance", str(source), str(output), "--no-gate", *common]) == 0
    capsys.readouterr()
    assert cli.main(["verify", str(source), str(output), *common]) == 4
    answer = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert answer["verdict"] == "failed"
    assert all(finding["ok"] for finding in answer["findings"])
    assert "PSNR" in answer["reasons"][0]
