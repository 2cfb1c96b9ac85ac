"""The task that parks a doubtful job until a person decides. What is asked, and what follows, is a step's to say."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.triggers.base import TriggerEvent

from sr_airflow import questions
from sr_airflow.alerts import links
from sr_airflow.alerts.callbacks import ReviewNeeded
from sr_airflow.job import RunningStep, running_step
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Task

_NOTE = "note"
ENDING_S = 10.0
"""In which an executor notices that a process ended, and by far."""
_DEFAULTS = {"reject": ApprovalOperator.REJECT, "approve": ApprovalOperator.APPROVE}


class AnswerTrigger(HITLTrigger):
    """Airflow's own trigger for answers, which lets the process that waits for one end first."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, fields = super().serialize()
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(ENDING_S)
        async for event in super().run():
            yield event


class Review(ApprovalOperator):
    """Airflow's approval, asked with the job's own figures and pictures. No worker is held while it waits.

    Rejected, or lapsed where that is the default, it fails with REVIEW_REJECTED and is not tried again.

    Airflow takes a try for lost if the answer comes before its executor has noticed that the asking process ended. To
    ask again would throw that answer away, and to park again would hand it over as early: the next try waits by a
    trigger for the answer to the question there is, for the time that is left.
    """

    def execute(self, context: Any) -> Any:
        with running_step() as step, _answer_taken(step):
            from sr_tasks.steps import review

            if review.is_answered(step.job_id, step.settings):
                return None
            before = questions.asked_before(context, step.settings)
            if before is None:
                asked = review.question(step.job_id, step.settings, pages=links.pages(step.job_id))
                self.subject, self.body = asked.subject, asked.body
        if before is not None:
            self.defer(trigger=self._answer_to(before, context), method_name="execute_complete")
        try:
            return super().execute(context)
        except TaskAwaitingInput:
            questions.remember(context, self.response_timeout or timedelta(0), step.settings)
            raise

    def _answer_to(self, asked: questions.Question, context: Any) -> AnswerTrigger:
        return AnswerTrigger(
            ti_id=context["task_instance"].id,
            options=self.options,
            defaults=self.defaults,
            params=self.serialized_params,
            multiple=self.multiple,
            timeout_datetime=asked.lapses_at,
        )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        with running_step() as step, _answer_taken(step):
            from sr_tasks.records.job import ReviewRecord
            from sr_tasks.steps import review

            if "error" not in event:
                is_approved = event["chosen_options"] == [self.APPROVE]
                record = ReviewRecord(
                    decision="approved" if is_approved else "rejected",
                    by=str((event.get("responded_by_user") or {}).get("name") or ""),
                    at=event["responded_at"],
                    note=str((event.get("params_input") or {}).get(_NOTE) or ""),
                )
                review.settle(step.job_id, record, step.settings)
            return super().execute_complete(context=context, event=event)


@contextmanager
def _answer_taken(step: RunningStep) -> Iterator[None]:
    """Forget the question once its answer is stored, whatever it says: who clears the task is asked again."""
    try:
        yield
    finally:
        if JobFolder(step.settings.workdir, step.job_id).has("review"):
            questions.forget(step.job_id, step.settings)


def review_task(settings: Settings) -> Review:
    """The task `review`. Raises UsageError for a default that is no answer."""
    if settings.review_default not in _DEFAULTS:
        raise UsageError(
            f"SR_REVIEW_DEFAULT={settings.review_default!r} is no answer.", hint=f"Use {' or '.join(_DEFAULTS)}."
        )
    return Review(
        task_id=Task.REVIEW.value,
        subject="Deliver this output?",
        body="",
        defaults=_DEFAULTS[settings.review_default],
        response_timeout=timedelta(hours=settings.review_timeout_h),
        # Airflow's form does not let go of a text that may not be null before something is written there.
        params={
            _NOTE: Param(
                None, type=["null", "string"], title="Note", description="Why, if you like; kept in the manifest."
            )
        },
        notifiers=[ReviewNeeded()],
    )
