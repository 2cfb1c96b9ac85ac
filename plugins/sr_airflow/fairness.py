"""The order in which jobs are admitted and get free devices: by when they came, a high priority ahead. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sr_tasks.jobs.admission import Applicant

HEAD_START_MIN: dict[str, int] = {"high": 4 * 60, "normal": 0, "low": -12 * 60}
"""How much earlier than it did a job counts as having come."""


def weight(request: Any, accepted_at: datetime | None) -> int:
    """The `priority_weight` of a job's tasks; the higher goes first, and it always fits Airflow's 32-bit column.

    It falls with the time of acceptance, so no job is overtaken for ever: a low one waits for normal ones that came up
    to 12 hours later, and not for those after them. A request that says nothing valid counts as normal. All weights are
    below those of other Dags, whose small tasks keep things going.
    """
    if accepted_at is None:
        return 1
    priority = request.get("priority") if isinstance(request, dict) else None
    head_start = HEAD_START_MIN.get(priority, 0) if isinstance(priority, str) else 0
    return head_start - int(accepted_at.timestamp()) // 60


def applicant(dag_run: Any, params: Mapping[str, Any]) -> "Applicant":
    """The job of a run, as one that asks to be admitted. Its weight is that of its tasks."""
    from sr_tasks.jobs.admission import Applicant  # the scheduler needs the weight alone

    return Applicant(
        job_id=dag_run.run_id,
        tenant=str(params.get("tenant") or ""),
        weight=weight(params, dag_run.run_after),
        accepted_s=dag_run.run_after.timestamp(),
    )
