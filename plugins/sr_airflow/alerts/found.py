"""What a job's folder says about how it ended. Reads it, and changes nothing in it."""

from datetime import datetime, timedelta
from typing import Any

from loguru import logger
from pydantic import ValidationError

from sr_airflow.alerts.marks import dead_steps
from sr_tasks.errors import JobCancelled, SrError
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder

_CLOCKS_MAY_DIFFER = timedelta(minutes=1)


def failure_of(folder: JobFolder, began: datetime | None) -> Failure:
    """Why the run that began then failed: what a step stored, else the step that died, else that it was stopped."""
    stored = _stored(folder)
    if stored is not None and not _is_older(stored, began):
        return stored
    for step, chunk in dead_steps(folder, began):
        return Failure.of(
            SrError(
                f"The process of {step} ended without a word on each of its tries.",
                hint="Most often memory ran out or the machine went away: see the machine's own log.",
            ),
            step=step,
            chunk=chunk,
        )
    return Failure.of(
        JobCancelled(
            "The job ended before it was done, and no step of it failed.",
            hint="Somebody stopped it, or its first step was never started: its page says which.",
        )
    )


def model_of(folder: JobFolder) -> str:
    """`name@version`, or empty if the job did not come so far."""
    return str(_record(folder, "source").get("model", ""))


def report_of(folder: JobFolder) -> str:
    """Where the report is: beside the output once delivered, else in the job's folder; empty for none."""
    delivered = str(_record(folder, "delivery").get("report", ""))
    page = folder.path / "report.html"
    return delivered or (str(page) if page.is_file() else "")


def _stored(folder: JobFolder) -> Failure | None:
    record = _record(folder, "error")
    if not record:
        return None
    try:
        return Failure.model_validate(record)
    except ValidationError as exc:
        logger.warning("the stored error of {} cannot be read: {}", folder.job_id, exc)
        return None


def _is_older(failure: Failure, began: datetime | None) -> bool:
    """Whether it is left from an earlier run of the job."""
    return failure.at is not None and began is not None and failure.at < began - _CLOCKS_MAY_DIFFER


def _record(folder: JobFolder, name: str) -> dict[str, Any]:
    if not folder.has(name):
        return {}
    try:
        return dict(folder.load_json(name))
    except SrError as exc:
        logger.warning("{}", exc)
        return {}
