"""What a job's folder says about how it ended. Reads it, and changes nothing in it."""

from datetime import datetime, timedelta
from typing import Any

from loguru import logger
from pydantic import ValidationError

from sr_airflow.alerts.marks import dead_steps
from sr_tasks.config import Settings
from sr_tasks.errors import JobCancelled, SrError
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG

_CLOCKS_MAY_DIFFER = timedelta(minutes=1)
_LONGEST_NAME = 200


def run_folder(settings: Settings, dag_id: str, run_id: str) -> JobFolder:
    """Where the error of a run is kept: a job's in its folder, and those of other Dags in one of their own, as runs of
    two Dags may have the same id. `purge` clears both. Raises UsageError for the id of a job that is no name."""
    if dag_id == JOB_DAG:
        return JobFolder(settings.workdir, run_id)
    return JobFolder(settings.workdir, f"{dag_id}.{run_id}"[:_LONGEST_NAME])


def failure_of(folder: JobFolder, began: datetime | None) -> Failure:
    """Why the run that began then failed: what a step stored, else the step that died, else that it was stopped."""
    stored = stored_failure(folder, began)
    if stored is not None:
        return stored
    for step, chunk in dead_steps(folder, began):
        return Failure.of(
            SrError(
                f"The process of {step} ended without a word on each of its tries.",
                hint="Most often memory ran out, the machine went away or its disk is full: see the machine's own log.",
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


def stored_failure(folder: JobFolder, began: datetime | None) -> Failure | None:
    """What a step of the run that began then stored, if one did. What an earlier run left does not count."""
    record = _record(folder, "error")
    if not record:
        return None
    try:
        failure = Failure.model_validate(record)
    except ValidationError as exc:
        logger.warning("the stored error of {} cannot be read: {}", folder.job_id, exc)
        return None
    is_older = failure.at is not None and began is not None and failure.at < began - _CLOCKS_MAY_DIFFER
    return None if is_older else failure


def model_of(folder: JobFolder) -> str:
    """`name@version`, or empty if the job did not come so far."""
    return str(_record(folder, "source").get("model", ""))


def report_of(folder: JobFolder) -> str:
    """Where the report is: beside the output once delivered, else in the job's folder; empty for none."""
    delivered = str(_record(folder, "delivery").get("report", ""))
    page = folder.path / "report.html"
    return delivered or (str(page) if page.is_file() else "")


def _record(folder: JobFolder, name: str) -> dict[str, Any]:
    if not folder.has(name):
        return {}
    try:
        return dict(folder.load_json(name))
    except SrError as exc:
        logger.warning("{}", exc)
        return {}
