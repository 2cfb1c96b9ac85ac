"""When a job is due, from its request and the deployment's settings. `alerts.callbacks` tells of a miss."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert

from sr_tasks.config import Settings

_LONGEST_MIN = 366 * 24 * 60


def due_at(request: Mapping[str, Any] | None, accepted_at: datetime | None, settings: Settings) -> datetime | None:
    """The request's own `deadline_minutes` after its acceptance, else those of its priority; None for no deadline."""
    if accepted_at is None:
        return None
    request = request or {}
    minutes = request.get("deadline_minutes")
    if minutes is None:
        by_priority = {
            "high": settings.deadline_high_minutes,
            "normal": settings.deadline_normal_minutes,
            "low": settings.deadline_low_minutes,
        }
        minutes = by_priority.get(str(request.get("priority", "normal")), 0.0)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        return None
    if not 0 < minutes <= _LONGEST_MIN:
        return None
    return accepted_at + timedelta(minutes=minutes)


def is_over(dag_run: Any, params: Mapping[str, Any], settings: Settings) -> bool:
    """Whether the deadline of a run has passed. One that was started again is given its whole time again."""
    again = bool(getattr(dag_run, "clear_number", 0))
    accepted_at = getattr(dag_run, "start_date" if again else "run_after", None)
    due = due_at(params, accepted_at, settings)
    return due is not None and datetime.now(UTC) > due


def job_deadline(reference: BaseDeadlineReference) -> DeadlineAlert:
    """For the Dag of the jobs: each run's own time, at whose miss an executor's worker runs `deadline_missed`.

    `reference` evaluates `due_at` where a run is created; Airflow takes it from a plugin alone.
    """
    return DeadlineAlert(
        name="due",
        reference=reference,
        interval=timedelta(0),
        callback=SyncCallback("sr_airflow.alerts.callbacks.deadline_missed"),
    )
