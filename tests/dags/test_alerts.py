"""What people are told of a job that ends badly, through a real mail server and a real webhook."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sr_tasks.config import REPOSITORY
from sr_tasks.errors import ChunkFailed, InputNotFound, SrError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.assessment import Decision, Verdict
from sr_tasks.records.job import DeliveryRecord
from tests.dags.fakes import FakeSteps
from tests.dags.receivers import Mailbox, Webhook, html_of

RunDag = Callable[..., Any]


def _context(run_id: str, run: int = 0) -> dict[str, Any]:
    return {"run_id": run_id, "dag_run": SimpleNamespace(clear_number=run, start_date=datetime.now(UTC))}


def _fail(workdir: Path, run_id: str, error: SrError, step: str = "upscale", chunk: int | None = None) -> None:
    from sr_airflow.alerts.callbacks import job_failed

    JobFolder(workdir, run_id).store_error(error, step=step, chunk=chunk)
    job_failed(_context(run_id))


def _later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    late = time.time() + seconds
    monkeypatch.setattr("sr_airflow.alerts.ledger.time", SimpleNamespace(time=lambda: late))


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_one_run_is_told_once_and_a_later_run_of_the_job_again(
    alerted: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import job_failed

    monkeypatch.setenv("SR_ALERT_QUIET_MINUTES", "0")
    _fail(alerted, "job", ChunkFailed("Broke off."))
    job_failed(_context("job"))
    assert len(webhook.texts) == 1
    job_failed(_context("job", run=1))
    assert len(webhook.texts) == 2


def test_markup_in_a_name_stays_text_and_a_template_in_one_is_not_run(
    alerted: Path, webhook: Webhook, mailbox: Mailbox
) -> None:
    name = "<!channel> <b>&amp; {{ 7 * 191 }} <https://evil.example|x>"
    _fail(alerted, "job", InputNotFound(f"There is no {name}.\r\nBcc: all@example.org"))
    (text,), (mail,) = webhook.texts, mailbox.mails
    assert "&lt;!channel&gt; &lt;b&gt;&amp;amp; {{ 7 * 191 }} &lt;https://evil.example|x&gt;" in text
    assert "1337" not in text + html_of(mail)
    read = _Links(html_of(mail))
    assert name in read.text
    assert "b" not in read.tags
    assert not any("evil" in link for link in read.links)
    assert mail["bcc"] is None
    assert "\n" not in str(mail["subject"])


def test_a_password_in_an_error_is_not_sent(alerted: Path, webhook: Webhook, mailbox: Mailbox) -> None:
    _fail(alerted, "job", ChunkFailed("s3 said no to https://me:hunter2@host/x?X-Amz-Signature=abcdef."))
    assert "hunter2" not in webhook.texts[0] + str(mailbox.mails[0])
    assert "abcdef" not in webhook.texts[0] + str(mailbox.mails[0])


def test_a_storm_is_one_alert_and_one_digest_that_counts_all_the_others(
    alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import send_due

    for number in range(60):
        _fail(alerted, f"job-{number}", ChunkFailed(f"Frame {number} broke off."))
    _fail(alerted, "other", InputNotFound("There is no clip."))
    assert len(webhook.texts) == len(mailbox.mails) == 2, "one for each cause"
    assert send_due() == {"sent": 0, "kept": 0}
    _later(monkeypatch, 16 * 60)
    assert send_due() == {"sent": 1, "kept": 0}
    assert send_due() == {"sent": 0, "kept": 0}
    assert "*59 jobs failed* `CHUNK_FAILED`" in webhook.texts[2]
    read = _Links(html_of(mailbox.mails[2]))
    assert "59 jobs failed" in read.text
    assert sum("/runs/job-" in link for link in read.links) == 20
    assert "and 39 more" in read.text


def test_what_slack_does_not_take_is_sent_later_and_the_mail_not_twice(
    alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import send_due

    webhook.status = 503
    _fail(alerted, "job", ChunkFailed("Broke off."))
    assert (len(webhook.texts), len(mailbox.mails)) == (0, 1)
    webhook.status = 200
    assert send_due() == {"sent": 0, "kept": 0}, "it waits a minute"
    _later(monkeypatch, 61)
    assert send_due() == {"sent": 1, "kept": 0}
    assert (len(webhook.texts), len(mailbox.mails)) == (1, 1)


def test_a_delivery_after_an_alert_is_told_and_one_without_is_not(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_succeeded

    job_succeeded(_context("good"))
    assert webhook.texts == []
    _fail(alerted, "bad", ChunkFailed("Broke off."))
    job_succeeded(_context("bad", run=1))
    job_succeeded(_context("bad", run=1))
    assert len(webhook.texts) == 2
    assert "Delivered after all" in webhook.texts[1]


def _run(job_id: str, *, run: int = 0, took: timedelta = timedelta(), **conf: Any) -> dict[str, Any]:
    """The context of a run that was accepted at half past noon."""
    accepted = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)
    dates = {"run_after": accepted, "start_date": accepted, "end_date": accepted + took}
    return {"run_id": job_id, "dag_run": SimpleNamespace(clear_number=run, conf=conf, **dates)}


def _miss(job_id: str, due: datetime) -> None:
    from sr_airflow.alerts.callbacks import deadline_missed

    deadline_missed(
        context={"dag_run": {"dag_run_id": job_id, "state": "running"}, "deadline": {"id": "1", "deadline_time": due}}
    )


def test_a_delivery_past_its_deadline_says_once_by_how_much(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_succeeded

    _miss("late", datetime(2026, 5, 4, 13, 0, tzinfo=UTC))
    for _ in range(2):
        job_succeeded(_run("late", took=timedelta(hours=2, minutes=7), deadline_minutes=30))
    missed, delivered = webhook.texts
    assert "It was due at 2026-05-04 13:00 UTC and came 1 h 37 min late." in delivered
    assert "failed" not in delivered


def test_a_job_that_was_run_again_and_came_late_says_both(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_succeeded

    _fail(alerted, "again", ChunkFailed("Broke off."))
    _miss("again", datetime(2026, 5, 4, 13, 0, tzinfo=UTC))
    job_succeeded(_run("again", run=1, took=timedelta(minutes=42), deadline_minutes=30))
    told = webhook.texts[-1]
    assert told.startswith("*Delivered after all* · again")
    assert "It had failed before and was run again." in told
    assert "It was due at 2026-05-04 13:00 UTC and came 12 min late." in told


def test_a_process_that_was_killed_is_named(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_failed

    code = (
        "import os, signal, sys; from pathlib import Path; from sr_airflow.alerts.marks import marked\n"
        "from sr_tasks.jobs.folder import JobFolder\n"
        "with marked(JobFolder(Path(sys.argv[1]), 'job'), 'upscale', 7): os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "plugins"))}
    killed = subprocess.run([sys.executable, "-c", code, str(alerted)], env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    job_failed(_context("job"))
    assert "The process of upscale ended without a word" in webhook.texts[0]
    assert "/tasks/upscale/mapped/7|Log>" in webhook.texts[0]


def test_an_error_of_an_earlier_run_is_not_told_for_this_one(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_failed

    JobFolder(alerted, "job").store_error(ChunkFailed("Long ago."), step="upscale")
    context = _context("job")
    context["dag_run"].start_date = datetime.fromtimestamp(time.time() + 3600, UTC)
    job_failed(context)
    assert "Long ago" not in webhook.texts[0]
    assert "JOB_CANCELLED" in webhook.texts[0]


def test_a_review_tells_reviewers_where_to_answer(
    alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import ReviewNeeded

    monkeypatch.setenv("SR_REVIEW_EMAIL", "eyes@example.org")
    verdict = Verdict(decision=Decision.NEEDS_REVIEW, reasons=("Frame 7 is 0.4 dB below the limit.",))
    JobFolder(alerted, "job").store("verdict", verdict)
    ReviewNeeded()({**_context("job"), "ti": SimpleNamespace(task_id="review", dag_id="upscale_video")})
    assert webhook.texts == [], "reviewers have a channel of their own"
    (mail,) = mailbox.mails
    assert mail["to"] == "eyes@example.org"
    assert "Frame 7 is 0.4 dB below the limit." in html_of(mail)
    page = "https://airflow.example.org/sr/dags/upscale_video/runs/job/tasks/review/required_actions?map_index=-1"
    assert page in _Links(html_of(mail)).links
    assert "https://airflow.example.org/sr/enhance/api/v1/jobs/job/report" in _Links(html_of(mail)).links


def test_that_a_job_is_done_is_told_once_to_who_wants_to_know_with_output_and_report(
    alerted: Path, webhook: Webhook, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import job_succeeded

    folder = JobFolder(alerted, "film")
    folder.store("delivery", DeliveryRecord(output="/out/a.mp4", manifest="/out/a.json", report="/out/a.html"))
    job_succeeded(_context("film"))
    assert not mailbox.mails
    monkeypatch.setenv("SR_DONE_EMAIL", "anna@example.org")
    job_succeeded(_context("stopped"))
    job_succeeded(_context("film"))
    job_succeeded(_context("film"))
    (mail,) = mailbox.mails
    assert (mail["to"], mail["subject"]) == ("anna@example.org", "Done: film")
    job = "https://airflow.example.org/sr/enhance/api/v1/jobs/film"
    assert {f"{job}/output", f"{job}/report"} <= set(_Links(html_of(mail)).links)
    assert webhook.texts == [], "operations are not told of what went well"


def test_a_missed_deadline_is_told_once_and_not_for_a_job_that_ended(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import deadline_missed

    due = {"id": "1", "deadline_time": datetime(2026, 5, 4, 12, 30, tzinfo=UTC)}
    for state in ("failed", "success", "running", "running"):
        deadline_missed(context={"dag_run": {"dag_run_id": "job", "state": state}, "deadline": due})
    (text,) = webhook.texts
    assert "due at 2026-05-04 12:30 UTC and is running" in text


def test_a_night_is_summed_up_once(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import night_over

    counts = {"left": 5, "left_over_budget": 2, "up_to_date": 70, "device_hours": 3.25, "cost": 0.0}
    night = {"completed": 37, "failed": [{}, {}], "refused": [{}], **counts}
    for _ in range(2):
        night_over("nightly_archive", "tonight", night)
    (text,) = webhook.texts
    assert "37 enhanced, 2 failed, 1 refused; 5 left, 2 of them over the budget; 70 up to date." in text
    assert "3.25 device hours" in text
    assert "<https://airflow.example.org/sr/dags/nightly_archive/runs/tonight|Job>" in text


@pytest.mark.parametrize("connection", ["", "nonsense", '{"conn_type": "slackwebhook", "password": "http://[::1]:1/"}'])
def test_a_wrong_connection_leaves_the_other_channel_and_the_job_alone(
    connection: str, alerted: Path, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", connection)
    _fail(alerted, "job", ChunkFailed("Broke off."))
    assert len(mailbox.mails) == 1


def test_without_channels_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    monkeypatch.setenv("SR_STATE_DIR", str(tmp_path / "state"))
    _fail(tmp_path, "job", ChunkFailed("Broke off."))
    assert not (tmp_path / "state/alerts/ledger.json").exists()


def test_a_job_past_its_deadline_goes_on_untold_unless_it_is_to_be_cancelled(
    steps: FakeSteps, run_dag: RunDag, alerted: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SR_DEADLINE_NORMAL_MINUTES", "0.000001")
    assert run_dag().state == "success"
    assert webhook.texts == []
    monkeypatch.setenv("SR_DEADLINE_CANCELS", "1")
    assert run_dag().state == "failed"
    (text,) = webhook.texts
    assert "The deadline of the job had passed before admit began." in text


def test_what_is_due_is_sent_every_five_minutes_by_one_run_at_a_time(alerted: Path, webhook: Webhook) -> None:
    import send_alerts

    dag = send_alerts.send_alerts()
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == (timedelta(minutes=5), 1, False)
    assert [(task.task_id, task.retries, task.owner) for task in dag.tasks] == [("send", 3, "sr"), ("remind", 3, "sr")]
    assert not dag.get_task("remind").upstream_list, "what cannot be sent keeps nobody from being reminded"
    assert dag.doc_md
    assert dag.tags
    assert dag.get_task("send").python_callable() == {"sent": 0, "kept": 0}


def test_a_job_whose_id_cannot_name_a_folder_is_told_so(alerted: Path, webhook: Webhook) -> None:
    from sr_airflow.alerts.callbacks import job_failed

    job_failed(_context("x" * 230))
    (text,) = webhook.texts
    assert text.startswith("*Job failed* `USAGE`")
    assert "cannot name a folder" in text
