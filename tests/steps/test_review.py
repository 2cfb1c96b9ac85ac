"""A doubtful output waits for a person: what is asked, what follows from the answer, and what stays for later."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from sr_console import reports

from sr_tasks import __main__ as cli
from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import ReviewRejected
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import ReviewRecord
from sr_tasks.steps import (
    assemble,
    assess,
    clean,
    deliver,
    gate,
    plan,
    prepare_model,
    report,
    review,
    upscale,
    validate,
)
from tests.clips import Clip, make

JOB = "manual__2026-11-20T12:00:00+00:00"
ANNA = ReviewRecord(
    decision="approved", by="anna", at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC), note="grain is <meant>"
)
NOBODY = ReviewRecord(decision="rejected", by="", at=datetime(2026, 11, 21, 9, 30, tzinfo=UTC))

Judged = Callable[..., dict[str, Any]]


@pytest.fixture
def doubting(tmp_path: Path, settings: Settings) -> Settings:
    """A registry whose bicubic is doubted below a PSNR that no lossy output reaches."""
    folder = tmp_path / "models"
    shutil.copytree(REPOSITORY / "include" / "models" / "bicubic", folder / "bicubic")
    path = folder / "bicubic" / "1" / "card.yaml"
    card = yaml.safe_load(path.read_text())
    card["gate"]["review"] = {"global_psnr_min": 99.0}
    path.write_text(yaml.safe_dump(card))
    return replace(settings, models_dir=folder)


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    source = make(tmp_path / "a `b`|c.mp4", Clip(frames=12))
    return JobSpec(source=str(source), output=str(tmp_path / "out.mp4"), model="bicubic", preset="ultrafast")


def judged(spec: JobSpec, settings: Settings) -> dict[str, Any]:
    """Every step up to the gate, in the Dag's order."""
    validate.run(spec, JOB, settings)
    for index in plan.run(JOB, settings)["chunks"]:
        if index == 0:
            prepare_model.run(JOB, settings)
        upscale.run(JOB, index, settings)
    assemble.run(JOB, settings)
    assess.run(JOB, settings)
    return gate.run(JOB, settings)


def failed_with(error: ReviewRejected, settings: Settings) -> None:
    JobFolder(settings.workdir, JOB).store_error(error)
    clean.run(JOB, settings, failed=True)


def test_the_question_says_why_what_was_measured_and_where_to_look(spec: JobSpec, doubting: Settings) -> None:
    assert judged(spec, doubting)["review"] is True
    asked = review.question(JOB, doubting)
    assert asked.subject == "Deliver a `b`|c.mp4?", "Airflow shows a headline as it is"
    assert "below 99 dB a person decides" in asked.body
    assert "| Mean PSNR, dB | " in asked.body
    assert str(JobFolder(doubting.workdir, JOB).path / "report.html") in asked.body
    assert str(spec.output) in asked.body


def test_the_question_shows_the_worst_frames_as_the_report_does(spec: JobSpec, doubting: Settings) -> None:
    judged(spec, doubting)
    body = review.question(JOB, doubting, pages="/prefix/sr/jobs/a%3Ab").body
    assert "[Open the report](/prefix/sr/jobs/a%3Ab/report)" in body
    shown = re.findall(r"!\[[^\]]+\]\(/prefix/sr/jobs/a%3Ab/pictures/(\d+)/(bicubic|output)\)", body)
    assert len(shown) == body.count("](/prefix") - 1
    worst = [row for row in JobFolder(doubting.workdir, JOB).load_json("pictures") if row["reason"] == "worst"]
    assert [view for _, view in shown] == ["bicubic", "output"] * len(worst)
    page = (JobFolder(doubting.workdir, JOB).path / "report.html").read_text()
    for (number, view), row in zip(shown, [row for row in worst for _ in range(2)], strict=True):
        image = reports.picture(JOB, int(number), view, doubting)
        assert f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}" == row[view]
        assert row[view] in page
        assert f"frame {row['frame']}, " in body


def test_an_approved_output_is_delivered_with_who_approved_it(spec: JobSpec, doubting: Settings) -> None:
    judged(spec, doubting)
    review.settle(JOB, ANNA, doubting)
    deliver.run(JOB, doubting)
    files = report.run(JOB, doubting)
    manifest = json.loads(Path(files["manifest"].removeprefix("file://")).read_text())
    assert manifest["verdict"]["decision"] == "needs_review"
    assert manifest["review"] == {
        "decision": "approved",
        "by": "anna",
        "at": "2026-11-20T09:30:00Z",
        "note": "grain is <meant>",
    }
    page = Path(files["report"].removeprefix("file://")).read_text()
    assert "Approved by anna, 2026-11-20T09:30:00+00:00: grain is &lt;meant&gt;." in page


def test_what_nobody_approved_fails_and_a_later_approval_delivers_the_same_file_without_the_model(
    spec: JobSpec, doubting: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(spec, doubting)
    finished = (JobFolder(doubting.workdir, JOB).path / "output.mp4").read_bytes()
    with pytest.raises(ReviewRejected, match="Rejected because nobody answered in time") as rejected:
        review.settle(JOB, NOBODY, doubting)
    failed_with(rejected.value, doubting)
    assert not Path(str(spec.output)).exists()
    monkeypatch.setattr(upscale, "upscale_chunk", None)
    monkeypatch.setattr(prepare_model, "run", None)
    with pytest.raises(ReviewRejected):
        review.is_answered(JOB, doubting)
    validate.run(spec, JOB, doubting)  # as Airflow does when somebody clears `review`: it is the set-up
    assert not review.is_answered(JOB, doubting), "who clears the task is asked again"
    review.question(JOB, doubting)
    review.settle(JOB, ANNA, doubting)
    assert review.is_answered(JOB, doubting), "a lost try is not"
    deliver.run(JOB, doubting)
    assert Path(str(spec.output)).read_bytes() == finished
    report.run(JOB, doubting)
    clean.run(JOB, doubting, failed=False)
    assert not list(doubting.workdir.rglob("*.mp4"))


def test_a_job_may_ask_for_a_person_always_or_never(spec: JobSpec, settings: Settings, doubting: Settings) -> None:
    assert judged(spec, settings)["review"] is False
    assert judged(spec.model_copy(update={"review": "always"}), settings)["review"] is True
    assert judged(spec.model_copy(update={"review": "never"}), doubting)["review"] is False
    assert judged(spec.model_copy(update={"gate": False}), doubting)["review"] is False


def test_the_command_line_has_nobody_to_ask_and_says_how_to_deliver_all_the_same(
    spec: JobSpec,
    doubting: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SR_MODELS_DIR", str(doubting.models_dir))
    command = [
        "enhance",
        spec.source,
        str(spec.output),
        "--model",
        "bicubic",
        "--workdir",
        str(tmp_path / "w"),
        "--json",
    ]
    assert cli.main(command) == 4
    error = json.loads(capsys.readouterr().out.strip().splitlines()[-1])["error"]
    assert error["code"] == "REVIEW_REJECTED"
    assert "--review never" in error["hint"]
    assert not Path(str(spec.output)).exists()
    assert cli.main([*command, "--review", "never"]) == 0
    assert json.loads(capsys.readouterr().out.strip().splitlines()[-1])["resumed_chunks"] == 1
    assert Path(str(spec.output)).is_file()
