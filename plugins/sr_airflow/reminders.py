"""Tells reviewers once that a question is about to lapse unanswered. Answers nothing, and knows no picture."""

from datetime import UTC, datetime
from typing import Any

from sr_airflow import questions
from sr_airflow.alerts import links
from sr_airflow.alerts.alert import Alert, Kind
from sr_airflow.alerts.delivery import tell
from sr_airflow.alerts.observing import settings_of_callback
from sr_airflow.questions import Question
from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.view import JobView

_WAITING = frozenset({"awaiting_input", "deferred"})
"""Parked by the first try, or waiting by a trigger after one that was lost."""
_AT_ONCE = 50
"""Runs whose state is asked for in one call: their ids make an address."""


def remind(task_instance: Any) -> int:
    """Tell of each question that lapses soon and still waits; how many those are, told before or now.

    The ledger of alerts tells each once, however often this is called or dies. Raises OSError.
    """
    settings = settings_of_callback()
    if settings.review_reminder_h <= 0:
        return 0
    lapsing = questions.lapsing(settings, datetime.now(UTC))
    waiting = [
        question
        for start in range(0, len(lapsing), _AT_ONCE)
        for question in _waiting(lapsing[start : start + _AT_ONCE], task_instance)
    ]
    for question in waiting:
        tell(_alert(question, settings), settings)
    return len(waiting)


def _waiting(asked: list[Question], task_instance: Any) -> list[Question]:
    """Those that Airflow says are parked. One whose try was just lost is looked at again the next time."""
    states: dict[str, dict[str, Any]] = task_instance.get_task_states(
        dag_id=asked[0].dag_id, run_ids=[question.run_id for question in asked], task_ids=[asked[0].task_id]
    )
    return [question for question in asked if states.get(question.run_id, {}).get(question.task_id) in _WAITING]


def _alert(question: Question, settings: Settings) -> Alert:
    outcome = "rejected" if settings.review_default == "reject" else "delivered"
    return Alert(
        kind=Kind.REVIEW,
        job_id=question.run_id,
        run=f"lapses {question.lapses_at.isoformat()}",
        message=f"Nobody has decided yet: the question lapses at {question.lapses_at:%Y-%m-%d %H:%M} UTC.",
        hint=f"Without an answer the output is {outcome} then.",
        code="REVIEW_LAPSES",
        step=question.task_id,
        model=JobView.of(JobFolder(settings.workdir, question.run_id)).model,
        job_url=links.job(question.dag_id, question.run_id),
        log_url=links.review(question.dag_id, question.run_id, question.task_id),
        report=links.report(question.run_id),
    )
