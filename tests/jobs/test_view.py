"""A job as launcher, alerts and pages see it: what real steps leave in its folder, and what Airflow says of its run."""

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import DiskFull
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Status, Task
from sr_tasks.jobs.view import JobView, RunFacts
from sr_tasks.records.assessment import Decision
from sr_tasks.telemetry.progress import FramesDone, ProgressFile
from tests.clips import make

JOB = "film"
RUNNING = RunFacts(state="running", tasks=[{"task_id": Task.UPSCALE, "state": "running"}])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "work", state_dir=tmp_path / "state", precision="fp32")


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    source = make(tmp_path / "film ä 100%.mp4", frames=10, width=64, height=48)
    return JobSpec(source=str(source), output=str(tmp_path / "out.mp4"), model="bicubic", preset="ultrafast")


@pytest.fixture
def planned(spec: JobSpec, settings: Settings) -> JobFolder:
    from sr_tasks.steps import plan, validate

    validate.run(spec, JOB, settings)
    plan.run(JOB, settings)
    return JobFolder(settings.workdir, JOB)


def test_before_its_first_step_a_job_has_an_id_and_what_airflow_says(settings: Settings) -> None:
    accepted = datetime(2026, 5, 4, 12, tzinfo=UTC)
    view = JobView.of(JobFolder(settings.workdir, JOB), RunFacts(state="queued", tasks=[], accepted_at=accepted))
    assert view == JobView(job_id=JOB, status=Status.PENDING, phase="accepted", accepted_at=accepted)


def test_a_planned_job_says_which_source_which_model_and_how_many_frames(planned: JobFolder) -> None:
    view = JobView.of(planned, RUNNING)
    assert (view.source, view.model) == ("film ä 100%.mp4", "bicubic@1")
    assert (view.status, view.phase) == (Status.PROCESSING, "upscaling")
    assert view.frames is not None
    assert (view.frames.done, view.frames.total, view.frames.fps) == (0, 10, 0)


def test_frames_and_speeds_of_chunks_add_up(planned: JobFolder) -> None:
    for chunk, event in enumerate((FramesDone(done=4, total=4, fps=9), FramesDone(done=2, total=6, fps=3.5))):
        ProgressFile(planned.path / "progress" / f"{chunk}.json").on_event(event)
    frames = JobView.of(planned, RUNNING).frames
    assert frames is not None
    assert (frames.done, frames.total, frames.fps) == (6, 10, 3.5)


def test_a_delivered_job_says_where_everything_is_and_what_the_gate_said(
    planned: JobFolder, spec: JobSpec, settings: Settings
) -> None:
    from sr_tasks.steps import assemble, assess, deliver, gate, prepare_model, report, upscale

    prepare_model.run(JOB, settings)
    upscale.run(JOB, 0, settings)
    for step in (assemble, assess, gate):
        step.run(JOB, settings)
    assessed = JobView.of(planned)
    assert assessed.verdict is not None
    assert (assessed.verdict.decision, assessed.report) == (Decision.PASSED, str(planned.path / "report.html"))
    deliver.run(JOB, settings)
    report.run(JOB, settings)
    view = JobView.of(planned, RunFacts(state="success", tasks=[{"task_id": "report", "state": "success"}]))
    assert (view.status, view.phase, view.error, view.frames) == (Status.COMPLETED, "completed", None, None)
    assert view.delivery is not None
    assert view.delivery.output == spec.output
    assert view.report == view.delivery.report == f"{spec.output}.report.html"


def test_an_error_counts_in_the_run_that_it_ended_alone(planned: JobFolder) -> None:
    planned.store_error(DiskFull("Nothing fits."), step="upscale", chunk=3)
    now = datetime.now(UTC)
    view = JobView.of(planned, RunFacts(state="failed", tasks=[], started_at=now - timedelta(hours=1)))
    assert view.error is not None
    assert (view.status, view.error.code, view.error.step, view.error.chunk) == ("FAILED", "DISK_FULL", "upscale", 3)
    assert isinstance(view.error.error(), DiskFull)
    assert JobView.of(planned, RunFacts(started_at=now + timedelta(hours=1))).error is None


@pytest.mark.parametrize("name", ["source", "plan", "verdict", "error"])
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"model": 7}'])
def test_a_damaged_record_leaves_its_field_empty(planned: JobFolder, name: str, damage: str) -> None:
    (planned.path / f"{name}.json").write_text(damage, encoding="utf-8")
    view = JobView.of(planned, RUNNING)
    assert (view.phase, view.verdict, view.error) == ("upscaling", None, None)
    assert (view.model == "") is (name == "source")
    assert (view.frames is None) is (name == "plan")


def test_who_shows_jobs_loads_nothing_that_computes() -> None:
    heavy = ("av", "cv2", "numpy", "onnx", "onnxruntime", "openvino", "torch")
    code = f"import sys, sr_tasks.jobs.view; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
