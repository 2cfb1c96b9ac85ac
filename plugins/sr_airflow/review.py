"""The task that parks a doubtful job until a person decides. What is asked, and what follows, is a step's to say."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from sr_airflow.alerts.callbacks import ReviewNeeded
from sr_airflow.job import running_step
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError

_NOTE = "note"
_DEFAULTS = {"reject": ApprovalOperator.REJECT, "approve": ApprovalOperator.APPROVE}


class Review(ApprovalOperator):
    """Airflow's approval, asked with the job's own figures. No worker is held while it waits.

    Rejected, or lapsed where that is the default, it fails with REVIEW_REJECTED and is not tried again.
    """

    def execute(self, context: Any) -> Any:
        with running_step() as step:
            from sr_tasks.steps import review

            if review.is_answered(step.job_id, step.settings):
                return None
            asked = review.question(step.job_id, step.settings)
        self.subject, self.body = asked.subject, asked.body
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        with running_step() as step:
            from sr_tasks.steps import review
            from sr_tasks.steps.records import ReviewRecord

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


def review_task(settings: Settings) -> Review:
    """The task `review`. Raises UsageError for a default that is no answer."""
    if settings.review_default not in _DEFAULTS:
        raise UsageError(
            f"SR_REVIEW_DEFAULT={settings.review_default!r} is no answer.", hint=f"Use {' or '.join(_DEFAULTS)}."
        )
    return Review(
        task_id="review",
        subject="Deliver this output?",
        body="",
        defaults=_DEFAULTS[settings.review_default],
        response_timeout=timedelta(hours=settings.review_timeout_h),
        params={_NOTE: Param("", type="string", title="Note", description="Why; kept in the manifest.")},
        notifiers=[ReviewNeeded()],
    )
