"""While nobody looks, on a real scheduler: doubtful outputs wait for a person, and processes die."""

import contextlib
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sr_tasks.config import REPOSITORY
from sr_tasks.registry.registry import Registry
from tests import clips
from tests.airflow.launcher import Launcher, finished, long_clip, states
from tests.graphs.sample_models import random_network, write_model

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    folder = tmp_path_factory.mktemp("stack")
    state, models = folder / "state", folder / "models"
    launcher = Launcher(folder, SR_KEEP_DAYS="0", SR_MODELS_DIR=str(models), SR_STATE_DIR=str(state))
    shutil.copytree(REPOSITORY / "include" / "models", models, ignore=shutil.ignore_patterns("recipes"))
    for version, strength in (("1", 0.004), ("2", 0.002)):
        write_model(models, "net", version, network=random_network(seed=1, strength=strength, layers=2, width=4))
    Registry(models).promote("net@1", by="test")
    try:
        done = launcher.run("up")
        assert done.returncode == 0, done.stderr
        yield launcher
    finally:
        launcher.run("down")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_clip(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def undisturbed(stack: Launcher, film: Path) -> bytes:
    """What becomes of the film when nothing happens to anybody."""
    client, output = stack.client(), film.with_name("undisturbed.mp4")
    client.trigger("job-undisturbed", {"source": str(film), "output": str(output), "model": "bicubic"})
    assert finished(client, "job-undisturbed") == "success"
    return output.read_bytes()


def until(holds: Callable[[], Any], seconds: float = 600.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)
    return found


def asked(stack: Launcher, job: str, source: Path, output: Path) -> dict[str, Any]:
    """Trigger a job that a person is to look at, and give Airflow's question once it is parked."""
    values = {"source": str(source), "output": str(output), "model": "bicubic", "review": "always"}
    stack.client().trigger(job, values)
    return parked(stack, job)


def parked(stack: Launcher, job: str) -> dict[str, Any]:
    client = stack.client()
    until(lambda: states(client, job).get("review", ("", 0))[0] == "awaiting_input")
    settled(stack, "upscale_video", job, states(client, job)["review"][1])
    (question,) = stack.ask("GET", f"dagRuns/{job}/hitlDetails")["hitl_details"]
    return dict(question)


def settled(stack: Launcher, dag_id: str, run: str, attempt: int) -> None:
    """Airflow takes an answer for a lost task before it has heard that the task ended well. No person is as quick."""
    ended = (
        f"state success for task instance TaskInstanceKey(dag_id='{dag_id}', task_id='review', run_id='{run}', "
        f"try_number={attempt},"
    )
    until(lambda: ended in (stack.home / "logs/embedded/scheduler.log").read_text(encoding="utf-8", errors="replace"))


def answer(stack: Launcher, job: str, option: str, note: str = "") -> None:
    body = {"chosen_options": [option], "params_input": {"note": note}}
    stack.ask("PATCH", f"dagRuns/{job}/taskInstances/review/-1/hitlDetails", json=body)


def error_of(stack: Launcher, job: str) -> dict[str, Any]:
    return dict(json.loads((stack.workdir / "jobs" / job / "error.json").read_text()))


def test_an_approved_job_is_delivered_and_its_manifest_says_who_approved_it(stack: Launcher, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    question = asked(stack, "job-approved", clips.make(tmp_path / "clip.mp4", frames=12), output)
    assert question["subject"] == "Deliver clip.mp4?"
    assert question["options"] == ["Approve", "Reject"]
    assert "report.html" in question["body"]
    assert not output.exists()
    answer(stack, "job-approved", "Approve", "looks right")
    assert finished(stack.client(), "job-approved") == "success"
    manifest = json.loads(Path(f"{output}.manifest.json").read_text())
    review = manifest["review"]
    assert (review["decision"], review["by"], review["note"]) == ("approved", "admin", "looks right")
    assert len(clips.pts_of(output)) == 12


def test_a_rejected_job_fails_and_can_still_be_approved_without_being_computed_again(
    stack: Launcher, tmp_path: Path
) -> None:
    client, output = stack.client(), tmp_path / "out.mp4"
    asked(stack, "job-rejected", clips.make(tmp_path / "clip.mp4", frames=12), output)
    answer(stack, "job-rejected", "Reject", "too soft")
    assert finished(client, "job-rejected") == "failed"
    assert error_of(stack, "job-rejected")["code"] == "REVIEW_REJECTED"
    assert "too soft" in error_of(stack, "job-rejected")["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert states(client, "job-rejected")["deliver"][0] == "upstream_failed"
    clear = {
        "dag_run_id": "job-rejected",
        "task_ids": ["review"],
        "include_downstream": True,
        "only_failed": False,
        "reset_dag_runs": True,
        "dry_run": False,
    }
    stack.ask("POST", "clearTaskInstances", json=clear)
    until(lambda: client.run_state("job-rejected") == "running")
    parked(stack, "job-rejected")
    answer(stack, "job-rejected", "Approve")
    assert finished(client, "job-rejected") == "success"
    assert states(client, "job-rejected")["upscale"] == ("success", 1)
    assert len(clips.pts_of(output)) == 12


def let_time_pass(stack: Launcher, job: str) -> None:
    """A question's time limit is over at once, as if a day had passed."""
    with contextlib.closing(sqlite3.connect(stack.home / "airflow.db", timeout=30)) as database, database:
        past = (
            "UPDATE task_instance SET trigger_timeout = '2020-01-01 00:00:00.000000' WHERE run_id = ? AND task_id = ?"
        )
        assert database.execute(past, (job, "review")).rowcount == 1


def test_a_question_nobody_answers_lapses_and_the_job_fails(stack: Launcher, tmp_path: Path) -> None:
    client = stack.client()
    asked(stack, "job-lapsed", clips.make(tmp_path / "clip.mp4", frames=12), tmp_path / "out.mp4")
    let_time_pass(stack, "job-lapsed")
    assert finished(client, "job-lapsed") == "failed"
    error = error_of(stack, "job-lapsed")
    assert error["code"] == "REVIEW_REJECTED"
    assert "nobody answered in time" in error["message"]
    assert states(client, "job-lapsed")["review"] == ("failed", 1)


def test_the_purge_clears_what_nobody_needs_and_leaves_a_job_that_waits_for_a_person(
    stack: Launcher, tmp_path: Path
) -> None:
    """All is old enough for it here."""
    client, output = stack.client(), tmp_path / "out.mp4"
    asked(stack, "job-parked", clips.make(tmp_path / "clip.mp4", frames=12), output)
    forgotten = stack.workdir / "jobs" / "of-a-run-that-airflow-does-not-know"
    forgotten.mkdir()
    run = {"dag_run_id": "purge-1", "logical_date": None, "conf": {"confirm": True}}
    stack.ask("POST", "dagRuns", dag_id="purge_workdirs", json=run)
    until(lambda: stack.ask("GET", "dagRuns/purge-1", dag_id="purge_workdirs")["state"] == "success")
    assert not forgotten.exists()
    assert (stack.workdir / "jobs" / "job-parked" / "output.mp4").is_file()
    answer(stack, "job-parked", "Approve")
    assert finished(client, "job-parked") == "success"
    assert len(clips.pts_of(output)) == 12


def test_a_release_is_measured_tried_and_made_production_by_a_person(stack: Launcher) -> None:
    models = Path(stack.env["SR_MODELS_DIR"])
    wish = {"name": "net", "version": "2", "share": 0.25, "policy": "person"}
    stack.ask(
        "POST", "dagRuns", dag_id="release_model", json={"dag_run_id": "net-2", "logical_date": None, "conf": wish}
    )

    def question() -> Any:
        return stack.ask("GET", "dagRuns/net-2/hitlDetails", dag_id="release_model")["hitl_details"]

    until(question)
    channels = Registry(models).channels("net")
    assert (channels.production, channels.candidate, channels.share) == ("1", "2", 0.25)
    (asked_for,) = question()
    assert asked_for["subject"] == "Make net@2 production?"
    report = Path(re.search(r"`([^`]+)`", asked_for["body"]).group(1))  # type: ignore[union-attr]
    assert "net@2 against net@1" in report.read_text()
    settled(stack, "release_model", "net-2", 1)
    stack.ask(
        "PATCH",
        "dagRuns/net-2/taskInstances/review/-1/hitlDetails",
        dag_id="release_model",
        json={"chosen_options": ["Promote"], "params_input": {}},
    )
    until(lambda: stack.ask("GET", "dagRuns/net-2", dag_id="release_model")["state"] == "success")
    channels = Registry(models).channels("net")
    assert (channels.production, channels.candidate) == ("2", None)
    assert "admin" in str(channels.history[-1])


def test_a_job_without_doubt_asks_nobody(stack: Launcher, tmp_path: Path) -> None:
    client = stack.client()
    client.trigger("job-good", {"source": str(clips.make(tmp_path / "clip.mp4", frames=12)), "model": "bicubic"})
    assert finished(client, "job-good") == "success"
    assert states(client, "job-good")["review"][0] == "skipped"


def test_a_worker_that_is_killed_loses_its_task_to_another_within_a_minute_or_so(
    stack: Launcher, film: Path, undisturbed: bytes
) -> None:
    client, output = stack.client(), film.with_name("without-worker.mp4")
    client.trigger("job-orphaned", {"source": str(film), "output": str(output), "model": "bicubic"})
    until(lambda: states(client, "job-orphaned").get("upscale", ("", 0))[0] == "running")
    (upscaling,) = [task for task in client.tasks("job-orphaned") if task["task_id"] == "upscale"]
    task = psutil.Process(upscaling["pid"])
    worker = task.parent()
    assert worker is not None
    worker.kill()
    assert finished(client, "job-orphaned") == "success"
    assert states(client, "job-orphaned")["upscale"] == ("success", 2)
    assert output.read_bytes() == undisturbed


def is_scheduler(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):  # a child of a moment, gone since it was listed
        return "sr_embedded.scheduler" in process.cmdline()
    return False


def test_a_task_and_then_the_scheduler_are_killed_and_the_job_completes_with_the_same_bytes(
    stack: Launcher, film: Path, undisturbed: bytes
) -> None:
    client, output = stack.client(), film.with_name("disturbed.mp4")
    client.trigger("job-killed", {"source": str(film), "output": str(output), "model": "bicubic"})
    until(lambda: states(client, "job-killed").get("upscale", ("", 0))[0] == "running")
    (upscaling,) = [task for task in client.tasks("job-killed") if task["task_id"] == "upscale"]
    psutil.Process(upscaling["pid"]).kill()
    until(lambda: states(client, "job-killed")["upscale"] == ("running", 2))
    (scheduler,) = [one for one in psutil.Process(stack.session()).children() if is_scheduler(one)]
    scheduler.kill()
    assert finished(client, "job-killed") == "success"
    assert output.read_bytes() == undisturbed
