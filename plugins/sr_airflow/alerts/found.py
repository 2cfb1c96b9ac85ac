"""Why a run ended, as its folder says. Reads it, and changes nothing in it."""

from datetime import datetime

from sr_airflow.alerts.marks import dead_steps
from sr_tasks.config import Settings
from sr_tasks.errors import JobCancelled, SrError
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG

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
    failure = folder.failure()
    return failure if failure is not None and failure.is_of_run(began) else None
