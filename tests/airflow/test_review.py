"""A person decides with the pictures in front of them: Airflow's own pages, its scheduler, a browser and a webhook."""

import contextlib
import json
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sr_embedded import state
from sr_embedded.home import USER, read_password

from tests import clips
from tests.airflow import browser
from tests.airflow.launcher import Launcher, finished, states
from tests.dags.receivers import Webhook

pytestmark = pytest.mark.airflow

JOB = "manual__2026-11-20T12:00:00+00:00"


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[Launcher]:
    folder = tmp_path_factory.mktemp("review")
    launcher = Launcher(folder)
    launcher.env |= {
        "SR_STATE_DIR": str(folder / "state"),
        "SR_REVIEW_SLACK": "slack_reviews",
        "SR_ALERT_QUIET_MINUTES": "0",
        "AIRFLOW_CONN_SLACK_REVIEWS": webhook.connection,
    }
    try:
        done = launcher.run("up")
        assert done.returncode == 0, done.stderr
        yield launcher
    finally:
        launcher.run("down")


def _until(holds: Callable[[], Any], seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def _http(stack: Launcher) -> Iterator[httpx.Client]:
    """Airflow's server, as nobody in particular until it is signed in."""
    known = state.load(stack.home)
    assert known is not None
    with httpx.Client(base_url=known.url, trust_env=False, timeout=120.0) as http:
        yield http


def _sign_in(http: httpx.Client, stack: Launcher) -> None:
    login = {"username": USER, "password": read_password(stack.home)}
    token = http.post("/auth/token", json=login).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"


def _request(stack: Launcher, job: str, tmp_path: Path) -> Path:
    """Trigger a job that a person is to look at; where its output goes."""
    source, output = clips.make(tmp_path / "film.mp4", frames=12), tmp_path / f"{job[:8]}.mp4"
    values = {"source": str(source), "output": str(output), "model": "bicubic", "review": "always"}
    stack.client().trigger(job, values)
    return output


def _parked(stack: Launcher, job: str) -> None:
    client = stack.client()
    _until(lambda: states(client, job).get("review", ("", 0))[0] == "awaiting_input")


def _answer(stack: Launcher, job: str, option: str, note: str = "") -> None:
    body = {"chosen_options": [option], "params_input": {"note": note}}
    stack.ask("PATCH", f"dagRuns/{job}/taskInstances/review/-1/hitlDetails", json=body)


def _questions(stack: Launcher) -> dict[str, Path]:
    """The notes of open questions by job."""
    found = {}
    for path in Path(stack.env["SR_STATE_DIR"], "questions").glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # answered in this moment
            found[json.loads(path.read_text())["run_id"]] = path
    return found


def _told(webhook: Webhook, *words: str) -> list[str]:
    return [text for text in webhook.texts if all(word in text for word in words)]


def _shown(driver: Any) -> list[tuple[str, int]]:
    """Address and width of every picture of ours that the browser has decoded."""
    script = "return [...document.images].filter(i => i.complete).map(i => [i.currentSrc, i.naturalWidth])"
    return [(source, width) for source, width in driver.execute_script(script) if "/enhance/api/v1/jobs/" in source]


@pytest.mark.browser
@browser.needs_chromium
def test_who_is_asked_sees_the_worst_frames_side_by_side_and_approves_on_the_same_page(
    stack: Launcher, webhook: Webhook, tmp_path: Path
) -> None:
    output = _request(stack, JOB, tmp_path)
    _parked(stack, JOB)
    with browser.signed_in(stack, tmp_path / "profile") as driver:
        (notice,) = _told(webhook, JOB)
        links = {label: url for url, label in re.findall(r"<([^|>]+)\|([^>]+)>", notice)}
        driver.get(links["Decide"])
        pictures = browser.until(driver, lambda d: len(found := _shown(d)) >= 2 and found)
        assert {source.rsplit("/", 1)[1] for source, _ in pictures} == {"bicubic", "output"}
        assert {width for _, width in pictures} == {128 * 2}, "twice the width of the region in the source"
        driver.get(links["Report"])
        browser.until(driver, lambda d: "film.mp4" in d.find_element("tag name", "body").text)
        script = "return [...document.images].every(image => image.complete && image.naturalWidth > 0)"
        browser.until(driver, lambda d: d.execute_script(script))
        assert driver.execute_script("return getComputedStyle(document.querySelector('.badge')).borderRadius") == "16px"
        driver.get(links["Decide"])
        browser.until(driver, _shown)
        browser.click(driver, "//button[contains(., 'Approve')]")
        assert _until(lambda: stack.client().run_state(JOB) != "running")
    assert finished(stack.client(), JOB) == "success"
    assert len(clips.pts_of(output)) == 12
    assert "Approved by admin" in Path(f"{output}.report.html").read_text()


def test_the_report_of_a_delivered_job_is_shown_to_who_is_signed_in_even_once_scratch_was_cleared(
    stack: Launcher, tmp_path: Path
) -> None:
    output = _request(stack, "job-shown", tmp_path)
    _parked(stack, "job-shown")
    _answer(stack, "job-shown", "Approve")
    assert finished(stack.client(), "job-shown") == "success"
    shutil.rmtree(stack.workdir / "jobs" / "job-shown")
    path = "/enhance/api/v1/jobs/job-shown"
    with _http(stack) as http:
        assert http.get(f"{path}/report").status_code == 401
        _sign_in(http, stack)
        report = http.get(f"{path}/report")
        assert report.content == Path(f"{output}.report.html").read_bytes()
        assert "sandbox" in report.headers["content-security-policy"]
        assert http.get(f"{path}/pictures/0/output").status_code == 404


@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_a_program_that_answers_in_the_moment_the_question_is_there_is_heard(
    stack: Launcher, webhook: Webhook, tmp_path: Path, option: str
) -> None:
    """Airflow takes the try for lost then, as its process has not ended yet."""
    job = f"job-{option}"
    output = _request(stack, job, tmp_path)
    with _http(stack) as http:
        _sign_in(http, stack)
        path = f"/api/v2/dags/upscale_video/dagRuns/{job}/taskInstances/review/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {"note": "seen by a program"}}
        _until(lambda: http.patch(path, json=body).status_code == 200)
    assert finished(stack.client(), job) == ("success" if option == "Approve" else "failed")
    if option == "Approve":
        review = json.loads(Path(f"{output}.manifest.json").read_text())["review"]
        assert (review["decision"], review["by"], review["note"]) == ("approved", "admin", "seen by a program")
    else:
        error = json.loads((stack.workdir / "jobs" / job / "error.json").read_text())
        assert error["code"] == "REVIEW_REJECTED"
        assert "seen by a program" in error["message"]
    assert len(_told(webhook, job, "A person has to decide")) == 1
    assert job not in _questions(stack)


def test_a_question_is_told_once_more_before_it_lapses_and_an_answered_one_is_not(
    stack: Launcher, webhook: Webhook, tmp_path: Path
) -> None:
    client = stack.client()
    for job in ("job-forgotten", "job-answered"):
        _request(stack, job, tmp_path)
        _parked(stack, job)
    _until(lambda: {"job-forgotten", "job-answered"} <= set(_questions(stack)))
    answered = _questions(stack)["job-answered"]
    kept = answered.read_text()
    _answer(stack, "job-answered", "Approve")
    assert finished(client, "job-answered") == "success"
    answered.write_text(kept)  # as if its process had died before it forgot the question
    _send_alerts(stack, "too-early")
    assert _told(webhook, "REVIEW_LAPSES") == []
    for path in _questions(stack).values():
        _put_back(path, hours=21)
    lapses_at = datetime.fromisoformat(json.loads(_questions(stack)["job-forgotten"].read_text())["lapses_at"])
    for run in ("in-time", "again"):
        _send_alerts(stack, run)
    (text,) = _told(webhook, "REVIEW_LAPSES")
    assert "job-forgotten" in text
    assert f"lapses at {lapses_at:%Y-%m-%d %H:%M} UTC" in text
    assert "the output is rejected then" in text
    assert "/required_actions" in text
    _let_lapse(stack, "job-forgotten")
    assert finished(client, "job-forgotten") == "failed"
    assert "job-forgotten" not in _questions(stack)


def _send_alerts(stack: Launcher, run: str) -> None:
    body = {"dag_run_id": run, "logical_date": None, "conf": {}}
    stack.ask("POST", "dagRuns", dag_id="send_alerts", json=body)
    _until(lambda: stack.ask("GET", f"dagRuns/{run}", dag_id="send_alerts")["state"] == "success")


def _put_back(path: Path, hours: float) -> None:
    """As if the question had been asked so much earlier."""
    question = json.loads(path.read_text())
    for name in ("asked_at", "lapses_at"):
        question[name] = (datetime.fromisoformat(question[name]) - timedelta(hours=hours)).isoformat()
    path.write_text(json.dumps(question))


def _let_lapse(stack: Launcher, job: str) -> None:
    with contextlib.closing(sqlite3.connect(stack.home / "airflow.db", timeout=60)) as database, database:
        past = (
            "UPDATE task_instance SET trigger_timeout = '2020-01-01 00:00:00.000000' WHERE run_id = ? AND task_id = ?"
        )
        assert database.execute(past, (job, "review")).rowcount == 1
