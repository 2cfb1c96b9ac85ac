"""The seam around every task body: the job it works on, its log, and errors translated into Airflow's retry policy.

Does no work of its own; a task imports its step inside the seam.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from sr_airflow.alerts.deadlines import is_over
from sr_airflow.alerts.marks import marked
from sr_airflow.observed import JOB_DAG, gave_up, observed, retry_caused
from sr_tasks.config import Settings
from sr_tasks.errors import JobCancelled, SrError, StepTimedOut
from sr_tasks.jobs.failure import fingerprint
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.telemetry import logs
from sr_tasks.telemetry.statsd import Instruments

log = logging.getLogger(__name__)

LAST_TASK, CLEANING = "report", "clean"
STEP_TIME_LIMIT = timedelta(hours=12)
"""Of one try. A bound for what stands still, far above any step: a chunk is sized to take about a minute."""
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
}
"""For what may pass next time; `running_step` ends a task at once for what cannot."""


@dataclass(frozen=True, kw_only=True)
class RunningStep:
    """One try of one task: which job, as asked for how, under which settings."""

    job_id: str
    params: dict[str, Any]
    settings: Settings
    task_instance: Any

    @property
    def spec(self) -> JobSpec:
        """Raises UsageError if the params are no JobSpec."""
        return job_spec(self.params)

    def is_live(self, job_id: str) -> bool:
        """Whether that job is queued, runs, or waits for a person."""
        count = self.task_instance.get_dr_count(dag_id=JOB_DAG, run_ids=[job_id], states=["queued", "running"])
        return bool(count)

    def job_failed(self) -> bool:
        """Whether the job will not complete: its last task has not succeeded."""
        ti = self.task_instance
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[LAST_TASK])
        return bool(states.get(ti.run_id, {}).get(LAST_TASK) != "success")

    def fail_with_job(self) -> None:
        """Raises AirflowFailException if the job failed. For the last task, by which Airflow judges the run.

        Without it a run that somebody stopped would end as a success: Airflow skips what had not begun yet.
        """
        if self.job_failed():
            raise AirflowFailException("The job failed. Its finished chunks are kept for another run.")


@contextmanager
def running_step() -> Iterator[RunningStep]:
    """Give the step of the current task, and turn what it raises into Airflow's terms.

    An SrError that no retry can help, and the second unexpected exception in a row, become AirflowFailException; the
    others are left to Airflow's retries. The error of a last try is stored in the job's folder.
    """
    context = get_current_context()
    ti = context["ti"]
    step = RunningStep(job_id=ti.run_id, params=dict(context["params"]), settings=Settings.from_env(), task_instance=ti)
    try_number, max_tries = ti.try_number or 1, ti.max_tries or 0
    logs.bridge_to_logging(step.settings)
    if try_number > 1:
        instruments = Instruments(step.settings)
        instruments.retry_started()
        instruments.close()
    chunk = ti.map_index if ti.map_index is not None and ti.map_index >= 0 else None
    place = {"step": ti.task_id, "chunk": chunk}
    try:
        with (
            logs.job_context(step.job_id, step=ti.task_id, chunk=chunk),
            observed(ti, context["dag_run"], step.settings, chunk=chunk),
            _watched(step, context["dag_run"], chunk),
        ):
            yield step
    except AirflowException:
        raise
    except SrError as exc:
        if _is_tried_again(step, exc, place, tries=max_tries if exc.retryable else 0):
            raise
        raise AirflowFailException(f"{exc.code}: {exc}") from exc
    except AirflowTaskTimeout as exc:
        error: SrError = StepTimedOut(
            f"{ti.task_id} was not done within its time limit ({exc}).",
            hint="See in its log whether it stood still, or whether the machine is too slow for the job.",
        )
        if _is_tried_again(step, error, place, tries=max_tries):
            raise
        raise AirflowFailException(f"{error.code}: {error}") from exc
    except Exception as exc:
        error = SrError(
            f"{ti.task_id} broke off with {type(exc).__name__}: {exc}",
            hint="This is a defect of the program, not of the video: the task's log has the traceback.",
        )
        if _is_tried_again(step, error, place, tries=min(1, max_tries)):
            raise
        raise AirflowFailException(f"{error.code}: {error}") from exc


@contextmanager
def _watched(step: RunningStep, dag_run: Any, chunk: int | None) -> Iterator[None]:
    """For the steps of a job: mark that it runs, and do not begin what is too late where the deployment says so."""
    ti = step.task_instance
    if ti.dag_id != JOB_DAG:
        yield
        return
    if step.settings.deadline_cancels and ti.task_id != CLEANING and is_over(dag_run, step.params, step.settings):
        raise JobCancelled(
            f"The deadline of the job had passed before {ti.task_id} began.",
            hint="Give it more time with deadline_minutes, or a higher priority; SR_DEADLINE_CANCELS=0 lets it go on.",
        )
    with marked(JobFolder(step.settings.workdir, step.job_id), ti.task_id, chunk):
        yield


def _is_tried_again(step: RunningStep, error: SrError, place: Mapping[str, Any], *, tries: int) -> bool:
    """Log the error; whether there is a try left of those it is worth. If not, it is stored as the job's."""
    log.error("%s: %s (cause %s)", error.code, error, fingerprint(error.code, place["step"], error.message))
    if (step.task_instance.try_number or 1) <= tries:
        retry_caused(error.code, step.settings)
        return True
    _store(step, error, place)
    gave_up(step.task_instance, get_current_context()["dag_run"], error.code, step.settings)
    return False


def _store(step: RunningStep, error: SrError, place: Mapping[str, Any]) -> None:
    try:
        JobFolder(step.settings.workdir, step.job_id).store_error(error, **place)
    except (OSError, SrError) as exc:
        log.warning("The error could not be stored in the job's folder: %s", exc)
