"""Every failure of the error tree: one alert with sentence, hint and links, the right state, tries and counters."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from sr_tasks import errors
from sr_tasks.errors import QualityRefused, SrError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Status, from_airflow
from tests.dags.fakes import FakeSteps
from tests.dags.jobs import failing
from tests.dags.receivers import Mailbox, StatsD, Webhook, html_of

RunDag = Callable[..., Any]

ONCE, FOUR = 1, 4
EXPECTED: dict[str, tuple[int, str, str]] = {
    "INTERNAL": (ONCE, "service", "Job failed"),
    "USAGE": (ONCE, "request", "Job failed"),
    "INPUT_REFUSED": (ONCE, "request", "Job failed"),
    "INPUT_NOT_FOUND": (ONCE, "request", "Job failed"),
    "INPUT_UNREADABLE": (ONCE, "request", "Job failed"),
    "INPUT_INVALID": (ONCE, "request", "Job failed"),
    "INPUT_UNSUPPORTED": (ONCE, "request", "Job failed"),
    "REHEARSAL_FAILED": (ONCE, "request", "Job failed"),
    "INPUT_TOO_LARGE": (ONCE, "request", "Job failed"),
    "URI_NOT_ALLOWED": (ONCE, "request", "Job failed"),
    "CONTAINER_MISMATCH": (ONCE, "request", "Job failed"),
    "TARGET_EXISTS": (ONCE, "request", "Job failed"),
    "TARGET_UNWRITABLE": (ONCE, "request", "Job failed"),
    "DISK_TOO_SMALL": (ONCE, "service", "Job failed"),
    "MODEL_UNKNOWN": (ONCE, "request", "Job failed"),
    "SCALE_UNSUPPORTED": (ONCE, "request", "Job failed"),
    "MODEL_INVALID": (ONCE, "request", "Job failed"),
    "VERSION_EXISTS": (ONCE, "request", "Job failed"),
    "LICENCE_NOT_ALLOWED": (ONCE, "request", "Job failed"),
    "ROUTES_INVALID": (ONCE, "service", "Job failed"),
    "JOB_RUNNING": (ONCE, "request", "Job failed"),
    "INPUT_DAMAGED": (ONCE, "request", "Job failed"),
    "INPUT_CHANGED": (ONCE, "request", "Job failed"),
    "QUALITY_REFUSED": (ONCE, "quality", "Output refused, nothing was delivered"),
    "REVIEW_REJECTED": (ONCE, "quality", "Output refused, nothing was delivered"),
    "MODEL_REJECTED": (ONCE, "service", "Job failed"),
    "INTEGRITY_BROKEN": (ONCE, "service", "Job failed"),
    "OUT_OF_MEMORY": (ONCE, "service", "Job failed"),
    "JOB_CANCELLED": (ONCE, "request", "Job failed"),
    "TRANSIENT": (FOUR, "service", "Job failed"),
    "CHUNK_MISSING": (FOUR, "service", "Job failed"),
    "CHUNK_FAILED": (FOUR, "service", "Job failed"),
    "STEP_TIMED_OUT": (FOUR, "service", "Job failed"),
    "DEVICE_BUSY": (FOUR, "service", "Job failed"),
    "DISK_FULL": (FOUR, "service", "Job failed"),
    "STORAGE_UNAVAILABLE": (FOUR, "service", "Job failed"),
    "AIRFLOW_UNAVAILABLE": (FOUR, "service", "Job failed"),
}
"""How often a step is tried that raises it for ever, whose fault is counted, and what the alert is headed."""


def _tree(kind: type[SrError] = SrError) -> list[type[SrError]]:
    children = [child for child in kind.__subclasses__() if child.__module__ == errors.__name__]
    return [kind, *(each for child in children for each in _tree(child))]


def test_every_failure_has_an_entry_here() -> None:
    """Add a new one, and say how it is to be treated."""
    assert EXPECTED.keys() == {kind.code for kind in _tree()}


@pytest.mark.parametrize("kind", _tree(), ids=lambda kind: kind.code)
def test_a_job_that_breaks_is_told_once_rightly(
    kind: type[SrError], alerted: Path, webhook: Webhook, mailbox: Mailbox, statsd: StatsD
) -> None:
    tries, fault, headline = EXPECTED[kind.code]
    error = kind("The clip 'a.mp4' is not right.", hint="Do this next.")
    job = failing(error)
    assert job.run() == "failed"
    assert job.tries == {"upscale": tries}
    (text,), (mail,) = webhook.texts, mailbox.mails
    page = "https://airflow.example.org/sr/dags/upscale_video/runs/job%201"
    log = f"{page}/tasks/upscale/mapped/3"
    assert text.startswith(f"*{headline}* `{kind.code}` · job 1")
    assert (f"<{page}|Job>" in text, f"<{log}|Log>" in text) == (True, True)
    assert mail["subject"] == f"{headline}: {kind.code} job 1"
    assert mail["to"] == "night@example.org, day@example.org"
    assert (f'href="{page}"' in html_of(mail), f'href="{log}"' in html_of(mail)) == (True, True)
    for told in (text, html_of(mail).replace("&#39;", "'")):
        assert (error.message in told, error.hint in told) == (True, True)
    retried = {"sr.retries": tries - 1, f"sr.retry_causes.{kind.code}": tries - 1} if tries > 1 else {}
    assert statsd.counters() == {f"sr.failures.{fault}.{kind.code}": 1, **retried}


def test_a_defect_is_told_as_one_after_a_second_try(alerted: Path, webhook: Webhook, statsd: StatsD) -> None:
    job = failing(ZeroDivisionError("division by zero"))
    assert job.run() == "failed"
    assert job.tries == {"upscale": 2}
    (text,) = webhook.texts
    assert text.startswith("*Job failed* `INTERNAL`")
    assert "upscale broke off with ZeroDivisionError: division by zero" in text
    assert statsd.counters()["sr.failures.service.INTERNAL"] == 1


@pytest.mark.parametrize("step", ["validate", "gate"])
def test_a_whole_run_that_breaks_is_failed_counted_and_told_once(
    step: str, steps: FakeSteps, run_dag: RunDag, alerted: Path, webhook: Webhook, mailbox: Mailbox, statsd: StatsD
) -> None:
    """In its first step, after which Airflow runs no other, and in one of the last."""
    steps.raises[step] = [QualityRefused("Frame 12 is 3 dB below the limit.", hint="See the report.")]
    run = run_dag()
    states = [{"task_id": ti.task_id, "state": str(ti.state)} for ti in run.get_task_instances()]
    assert (run.state, from_airflow(run.state, states).status) == ("failed", Status.FAILED)
    (text,) = webhook.texts
    assert len(mailbox.mails) == 1
    assert text.startswith("*Output refused, nothing was delivered* `QUALITY_REFUSED`")
    assert f"runs/{quote(run.run_id, safe='')}/tasks/{step}|Log>" in text
    assert statsd.counters()["sr.jobs.failed"] == 1
    assert list((JobFolder(alerted, run.run_id).path / "running").iterdir()) == []


AMQP = "amqp://jobs:hunter2@rabbit:5672/v"
SIGNED = "https://media.s3.amazonaws.com/a.mp4?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE&X-Amz-Signature=hunter3"
SECRETS = ("hunter", "AKIAIOSFODNN7EXAMPLE")


@pytest.mark.parametrize("kind", [errors.ChunkFailed, errors.InputNotFound], ids=lambda kind: kind.code)
def test_what_airflow_logs_stores_and_tells_of_an_error_holds_no_secret(
    kind: type[SrError], steps: FakeSteps, run_dag: RunDag, alerted: Path, webhook: Webhook, mailbox: Mailbox,
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Neither its own words nor those of what caused it."""
    error = kind(f"There is no {SIGNED}")
    error.__cause__ = ConnectionError(f"cannot connect to {AMQP}, password='hunter4'")
    steps.raises["plan"] = [error] * 9
    run_dag()
    logged = "".join((*capfd.readouterr(), caplog.text))
    stored = "".join(path.read_text() for path in alerted.rglob("*.json"))
    for text in (logged, stored, *webhook.texts, *map(html_of, mailbox.mails)):
        assert "https://media.s3.amazonaws.com/a.mp4" in text
        assert [secret for secret in SECRETS if secret in text] == []
    assert "cannot connect to amqp://jobs:***@rabbit:5672/v" in logged


def test_a_full_disk_keeps_nobody_from_being_told_which_step_broke(
    alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the error nor the ledger of alerts can be written: only names of empty files can."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sr_tasks.jobs.folder.write_text", full)
    monkeypatch.setattr("sr_airflow.alerts.ledger.write_text", full)
    assert failing(errors.DiskFull("The disk is full.")).run() == "failed"
    (text,) = webhook.texts
    assert len(mailbox.mails) == 1
    assert "The process of upscale ended without a word on each of its tries." in text
    assert "/tasks/upscale/mapped/3|Log>" in text
