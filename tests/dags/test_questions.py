"""Open questions to people: what is asked once however often a try is lost, and told once more before it lapses."""

import copy
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput, TaskDeferred
from sqlalchemy import select

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from tests.dags.fakes import FakeSteps
from tests.dags.receivers import Webhook

RunDag = Callable[..., Any]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(hours=24)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "work", state_dir=tmp_path / "state")


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Webhook]:
    server = Webhook()
    for name, value in {
        "SR_WORKDIR": str(settings.workdir),
        "SR_STATE_DIR": str(settings.state_dir),
        "SR_REVIEW_SLACK": "slack_reviews",
        "SR_ALERT_QUIET_MINUTES": "0",
        "AIRFLOW_CONN_SLACK_REVIEWS": server.connection,
        "AIRFLOW__API__BASE_URL": "https://airflow.example.org/prefix",
    }.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


def _context(run_id: str = "job", try_number: int = 1, accepted_at: datetime = NOON) -> dict[str, Any]:
    ti = SimpleNamespace(dag_id="upscale_video", run_id=run_id, task_id="review", try_number=try_number)
    return {"ti": ti, "run_id": run_id, "dag_run": SimpleNamespace(run_after=accepted_at, clear_number=0)}


class _Airflow:
    """A task instance that says in which states those of other runs are; `asked` are the runs it was asked about."""

    def __init__(self, **states: str) -> None:
        self.states, self.asked = states, 0

    def get_task_states(self, dag_id: str, run_ids: list[str], task_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, task_ids) == ("upscale_video", ["review"])
        self.asked += len(run_ids)
        return {run_id: {"review": self.states[run_id]} for run_id in run_ids if run_id in self.states}


def test_a_later_try_knows_that_it_was_asked_until_the_answer_is_taken(settings: Settings) -> None:
    from sr_airflow import questions

    assert not questions.asked_before(_context(), settings)
    questions.remember(_context(), DAY, settings)
    assert not questions.asked_before(_context(), settings), "the try that asks is no later one"
    assert questions.asked_before(_context(try_number=2), settings)
    assert not questions.asked_before(_context("other", try_number=2), settings)
    assert not questions.asked_before(_context(try_number=2, accepted_at=NOON + DAY), settings), (
        "a run of the same name"
    )
    questions.forget("job", settings)
    questions.forget("job", settings)
    assert not questions.asked_before(_context(try_number=2), settings)


def test_a_note_that_cannot_be_read_asks_again_and_stops_no_reminder(settings: Settings) -> None:
    from sr_airflow import questions

    questions.remember(_context(), DAY, settings)
    questions.remember(_context("other"), DAY, settings)
    (damaged,) = [path for path in (settings.state_dir / "questions").iterdir() if '"job"' in path.read_text()]
    damaged.write_text("{")
    assert not questions.asked_before(_context(try_number=2), settings)
    found = questions.lapsing(settings, datetime.now(UTC) + timedelta(hours=21))
    assert [question.run_id for question in found] == ["other"]


@pytest.mark.parametrize(
    ("waits_h", "hours_later", "expected"),
    [(24, 19.9, False), (24, 20.1, True), (24, 23.9, True), (24, 25, True), (3, 0, False), (3, 2.9, False)],
)
def test_a_question_lapses_soon_in_its_last_hours_unless_it_was_only_asked_then(
    settings: Settings, waits_h: float, hours_later: float, expected: bool
) -> None:
    from sr_airflow import questions

    questions.remember(_context(), timedelta(hours=waits_h), settings)
    found = questions.lapsing(settings, datetime.now(UTC) + timedelta(hours=hours_later))
    assert bool(found) is expected


def test_a_question_of_a_run_that_was_deleted_is_forgotten_in_the_end(settings: Settings) -> None:
    from sr_airflow import questions

    questions.remember(_context(), DAY, settings)
    assert questions.lapsing(settings, datetime.now(UTC) + timedelta(days=9)) == []
    assert list((settings.state_dir / "questions").iterdir()) == []


def _asked_long_ago(monkeypatch: pytest.MonkeyPatch, settings: Settings, *jobs: str, hours: float = 21) -> None:
    from sr_airflow import questions

    earlier = SimpleNamespace(now=lambda zone: datetime.now(zone) - timedelta(hours=hours))
    with monkeypatch.context() as patch:
        patch.setattr(questions, "datetime", earlier)
        for job in jobs:
            questions.remember(_context(job), DAY, settings)


def test_who_decides_is_reminded_once_of_what_still_waits(
    settings: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.reminders import remind

    _asked_long_ago(monkeypatch, settings, "waits", "answered", "gone", "lost")
    airflow = _Airflow(waits="awaiting_input", answered="success", lost="up_for_retry")
    for _ in range(3):
        assert remind(airflow) == 1
    (text,) = webhook.texts
    lapse = datetime.now(UTC) + timedelta(hours=3)
    assert "waits" in text
    assert any(f"lapses at {at:%Y-%m-%d %H:%M} UTC" in text for at in (lapse, lapse - timedelta(minutes=1)))
    assert "Without an answer the output is rejected then." in text
    page = "https://airflow.example.org/prefix/dags/upscale_video/runs/waits/tasks/review/required_actions?map_index=-1"
    assert f"<{page}|Decide>" in text
    assert "<https://airflow.example.org/prefix/enhance/api/v1/jobs/waits/report|Report>" in text
    airflow.states["lost"] = "awaiting_input"
    assert remind(airflow) == 2
    assert len(webhook.texts) == 2


def test_a_reminder_that_slack_does_not_take_is_sent_later(
    settings: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.alerts.callbacks import send_due
    from sr_airflow.reminders import remind

    _asked_long_ago(monkeypatch, settings, "waits")
    webhook.status = 503
    assert remind(_Airflow(waits="awaiting_input")) == 1
    webhook.status = 200
    later = datetime.now(UTC).timestamp() + 61
    monkeypatch.setattr("sr_airflow.alerts.ledger.time", SimpleNamespace(time=lambda: later))
    send_due()
    assert len(webhook.texts) == 1


def test_nobody_is_reminded_where_the_deployment_wants_none(
    settings: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.reminders import remind

    _asked_long_ago(monkeypatch, settings, "waits")
    monkeypatch.setenv("SR_REVIEW_REMINDER_H", "0")
    airflow = _Airflow(waits="awaiting_input")
    assert (remind(airflow), airflow.asked, webhook.texts) == (0, 0, [])


def test_many_questions_are_looked_at_in_calls_that_fit_an_address(
    settings: Settings, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sr_airflow.reminders import remind

    _asked_long_ago(monkeypatch, settings, *(f"job-{number}" for number in range(120)))
    airflow = _Airflow()
    assert remind(airflow) == 0
    assert airflow.asked == 120


@pytest.fixture
def review(dag: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The task that asks, whose questions come to `asked`, without Airflow's own seam."""
    import sr_airflow.review

    @contextmanager
    def step() -> Iterator[Any]:
        yield SimpleNamespace(job_id="job", settings=settings)

    monkeypatch.setattr(sr_airflow.review, "running_step", step)
    task, asked = dag.get_task("review"), []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **question: asked.append(question)
    )
    monkeypatch.setattr(
        "sr_tasks.steps.review.question", lambda job_id, settings, pages: SimpleNamespace(subject="Well?", body=pages)
    )
    monkeypatch.setattr(task, "notifiers", [])
    return SimpleNamespace(
        asked=asked, execute=lambda context: type(task).execute.__wrapped__(task, context), task=task
    )


def test_a_try_after_one_that_was_lost_waits_for_the_answer_to_the_same_question(
    review: Any, settings: Settings
) -> None:
    """To ask again would throw an answer away that Airflow has, and that the lost try did not come to take."""
    for try_number in (1, 2, 3):
        context = {**_context(try_number=try_number), "task_instance": SimpleNamespace(id=f"try {try_number}")}
        with pytest.raises(TaskAwaitingInput if try_number == 1 else TaskDeferred) as waits:
            review.execute(context)
        assert waits.value.method_name == "execute_complete"
        assert [question["ti_id"] for question in review.asked] == ["try 1"]


def test_a_lost_try_gives_nobody_more_time(review: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for hours_ago in (21, 25):
        _asked_long_ago(monkeypatch, settings, "job", hours=hours_ago)
        with pytest.raises(TaskDeferred) as waits:
            review.execute({**_context(try_number=2), "task_instance": SimpleNamespace(id="second")})
        lapses = datetime.now(UTC) - timedelta(hours=hours_ago) + DAY
        path, fields = waits.value.trigger.serialize()
        assert abs(fields["timeout_datetime"] - lapses) < timedelta(minutes=30)
        assert path == "sr_airflow.review.AnswerTrigger"


def test_who_clears_the_task_after_an_answer_is_asked_again(review: Any, settings: Settings) -> None:
    context = {**_context(), "task_instance": SimpleNamespace(id="first")}
    with pytest.raises(TaskAwaitingInput):
        review.execute(context)
    folder = JobFolder(settings.workdir, "job")
    folder.store_json("review", {})
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("sr_tasks.steps.review.is_answered", lambda job_id, settings: True)
        assert review.execute(context) is None
    folder.forget("review")
    with pytest.raises(TaskAwaitingInput):
        review.execute({**_context(try_number=2), "task_instance": SimpleNamespace(id="second")})
    assert [question["ti_id"] for question in review.asked] == ["first", "second"]


@pytest.fixture
def doubted(steps: FakeSteps, dag: Any, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[Any]:
    """Jobs of fake steps whose output is doubtful; the decisions that the step `review` was given."""
    decisions: list[Any] = []

    def settle(job_id: str, record: Any, settings: Settings) -> None:
        decisions.append(record)
        JobFolder(settings.workdir, job_id).store("review", record)

    asking = SimpleNamespace(
        is_answered=lambda job_id, settings: JobFolder(settings.workdir, job_id).has("review"),
        question=lambda job_id, settings, pages: SimpleNamespace(subject="Well?", body="See yourself."),
        settle=settle,
    )
    # A task that is resumed in this process writes its run's values into the Dag, which other tests look at.
    monkeypatch.setattr(dag, "params", copy.deepcopy(dag.params))
    package = sys.modules["sr_tasks.steps"]
    monkeypatch.setattr(package, "review", asking, raising=False)
    monkeypatch.setattr(package, "gate", SimpleNamespace(run=lambda *_: {"review": True}), raising=False)
    monkeypatch.setenv("SR_STATE_DIR", str(settings.state_dir))
    return decisions


def test_an_answer_to_a_try_that_airflow_took_for_lost_is_taken_by_the_next(
    steps: FakeSteps, run_dag: RunDag, doubted: list[Any], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """As it happens to a program that answers before the executor has noticed that the asking process ended."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    asked: list[Any] = []
    real_sleep = time.sleep

    def answered_and_lost(seconds: float) -> None:
        """In the place of the sleep between two looks at a run whose question waits."""
        with create_session(scoped=False) as session:
            waits = TaskInstance.state == "awaiting_input"
            # Runs of other tests may wait in this database too; they have the ids of their jobs.
            parked = session.scalars(
                select(TaskInstance).where(waits, TaskInstance.run_id.startswith("manual"))
            ).first()
            if parked is None:
                real_sleep(seconds)
                return
            assert not asked, "it was parked again, which hands the answer over too early"
            question = session.get_one(HITLDetail, parked.id)
            asked.append(question.ti_id)
            question.responded_at, question.responded_by = NOON, {"id": "7", "name": "anna"}
            question.chosen_options, question.params_input = ["Approve"], {"note": "at once"}
            session.flush()
            parked.prepare_db_for_next_try(session)
            parked.clear_next_method_args()
            parked.state = "up_for_retry"

    def stored_answer(ti_id: Any) -> Any:
        """In the place of the call to Airflow's server, which a trigger of `dag.test()` has no line to."""
        with create_session(scoped=False) as session:
            found = session.get_one(HITLDetail, ti_id)
            return SimpleNamespace(
                response_received=found.response_received,
                chosen_options=found.chosen_options,
                params_input=found.params_input,
                responded_at=found.responded_at,
                responded_by_user=SimpleNamespace(**found.responded_by),
            )

    monkeypatch.setattr("airflow.providers.standard.triggers.hitl.get_hitl_detail_content_detail", stored_answer)
    monkeypatch.setattr("sr_airflow.review.ENDING_S", 0.0)
    monkeypatch.setattr(time, "sleep", answered_and_lost)
    run = run_dag()
    assert run.state == "success"
    assert len(asked) == 1
    (decision,) = doubted
    assert (decision.decision, decision.by, decision.note) == ("approved", "anna", "at once")
    (review,) = [task for task in run.get_task_instances() if task.task_id == "review"]
    assert (review.state, review.try_number) == ("success", 2)
    assert list((settings.state_dir / "questions").iterdir()) == []
    assert "deliver" in steps.names()
