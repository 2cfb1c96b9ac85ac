"""What people are told of the Dags beside that of the jobs: that they fail, why, and that they work again."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from sr_tasks.errors import StorageUnavailable, UsageError
from tests.dags.receivers import Mailbox, Webhook, html_of

Run = Callable[..., Any]

TOLD = {
    "nightly_archive": True,
    "on_message": True,
    "on_upload": True,
    "purge_workdirs": True,
    "release_model": False,
    "upscale_pictures": False,
    "watch_queue": True,
    "watch_releases": True,
}
"""The Dags whose failures are told, and whether their next success is: each run of the others is for itself."""


@pytest.fixture
def run(migrated: None, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a Dag by its name in this process, without waiting between tries."""
    from datetime import timedelta

    def run(name: str, **conf: Any) -> Any:
        dag = getattr(importlib.import_module(name), name)()
        for task in dag.tasks:
            monkeypatch.setattr(task, "retry_delay", timedelta(0))
        return dag.test(run_conf=conf)

    return run


@pytest.mark.parametrize("name", TOLD)
def test_every_dag_tells_of_its_failures(name: str) -> None:
    dag = getattr(importlib.import_module(name), name)()
    assert dag.on_failure_callback.__name__ == "dag_failed"
    assert (getattr(dag.on_success_callback, "__name__", "") == "dag_recovered") is TOLD[name]


def test_no_dag_is_forgotten_here() -> None:
    folder = Path(importlib.import_module("on_upload").__file__ or "").parent
    others = {"upscale_video", "send_alerts"}
    assert {path.stem for path in folder.glob("*.py")} == TOLD.keys() | others


def test_a_dag_that_fails_is_told_with_its_sentence_and_log_and_that_it_works_again_once(
    run: Run, alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_tasks.steps import purge

    def failing(*_: Any, **__: Any) -> dict[str, Any]:
        raise StorageUnavailable("The store 's3.example.org' did not answer.", hint="See whether it is up.")

    monkeypatch.setattr(purge, "run", failing)
    assert (failed := run("purge_workdirs")).state == "failed"
    (text,), (mail,) = webhook.texts, mailbox.mails
    page = f"https://airflow.example.org/sr/dags/purge_workdirs/runs/{quote(failed.run_id, safe='')}"
    assert text.startswith("*A Dag failed: purge_workdirs* `STORAGE_UNAVAILABLE`")
    assert f"<{page}|Run> · <{page}/tasks/purge|Log>" in text
    for told in (text, html_of(mail).replace("&#39;", "'")):
        assert "The store 's3.example.org' did not answer." in told
        assert "See whether it is up." in told
    monkeypatch.setattr(purge, "run", lambda *_, **__: {})
    for _ in range(2):
        assert run("purge_workdirs").state == "success"
    assert len(webhook.texts) == 2
    assert webhook.texts[1].startswith("*purge_workdirs works again*")


def test_a_run_that_was_killed_is_told_though_no_task_said_why(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.dags import dag_failed

    dag = SimpleNamespace(dag_id="nightly_archive")
    dag_failed({"dag": dag, "run_id": "scheduled__1", "ti": SimpleNamespace(task_id="enhance")})
    (text,) = webhook.texts
    page = "https://airflow.example.org/sr/dags/nightly_archive/runs/scheduled__1"
    assert "The run ended before it was done, and no task of it said why." in text
    assert f"<{page}|Run> · <{page}/tasks/enhance|Log>" in text


def test_runs_of_two_dags_with_one_id_keep_their_errors_apart(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.dags import dag_failed
    from sr_airflow.alerts.found import run_folder

    from sr_tasks.config import Settings

    settings, names = Settings.from_env(), ("nightly_archive", "on_upload")
    for name in names:
        run_folder(settings, name, "scheduled__1").store_error(UsageError(f"The rules of {name} are wrong."))
    for name in names:
        dag_failed({"dag": SimpleNamespace(dag_id=name), "run_id": "scheduled__1"})
    assert ["The rules of nightly_archive" in text for text in webhook.texts] == [True, False]
    assert ["The rules of on_upload" in text for text in webhook.texts] == [False, True]


def test_an_outage_of_a_dag_that_runs_every_minute_is_one_alert_and_digests(
    alerted: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from sr_airflow.alerts.callbacks import send_due
    from sr_airflow.alerts.dags import dag_failed

    for minute in range(10):
        dag_failed({"dag": SimpleNamespace(dag_id="on_upload"), "run_id": f"scheduled__{minute}"})
    assert len(webhook.texts) == 1
    late = time.time() + 16 * 60
    monkeypatch.setattr("sr_airflow.alerts.ledger.time", SimpleNamespace(time=lambda: late))
    assert send_due() == {"sent": 1, "kept": 0}
    assert "*9 runs of a Dag failed: on_upload*" in webhook.texts[1]


def test_what_cannot_be_taken_is_told_once_by_the_next_run_of_send_alerts(
    alerted: Path, webhook: Webhook, mailbox: Mailbox
) -> None:
    from sr_airflow.alerts.callbacks import send_due
    from sr_airflow.alerts.dags import refused

    reasons = {"s3://media/in/a.mp4": "Its output would lie in 's3://media/in/'. password=hunter2"}
    for _ in range(3):
        refused("on_upload", reasons)
    assert (webhook.texts, mailbox.mails) == ([], []), "nothing is sent from where it was seen"
    assert send_due() == {"sent": 1, "kept": 0}
    (text,) = webhook.texts
    assert text.startswith("*Not taken: on_upload* `NOT_TAKEN` · s3://media/in/a.mp4")
    assert "Its output would lie in 's3://media/in/'." in text
    assert "<https://airflow.example.org/sr/dags/on_upload|Run>" in text
    assert "hunter2" not in text + html_of(mailbox.mails[0])
    assert send_due() == {"sent": 0, "kept": 0}


def test_a_release_that_waits_for_a_person_tells_reviewers_what_is_asked(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import ReviewNeeded

    task = SimpleNamespace(subject="Make net@2 production?", defaults=["Roll back"])
    ti = SimpleNamespace(dag_id="release_model", task_id="review")
    context: Any = {"run_id": "release-1", "ti": ti, "task": task}
    ReviewNeeded()(context)
    (text,) = webhook.texts
    assert text.startswith("*A person has to decide: release_model*")
    assert "Make net@2 production?" in text
    assert "Without an answer: Roll back." in text
    page = "https://airflow.example.org/sr/dags/release_model/runs/release-1"
    assert f"<{page}/tasks/review/required_actions?map_index=-1|Decide>" in text
