"""The seam around every task body: the job it works on, its log, and errors translated into Airflow's retry policy.

Does no work of its own; a task imports its step inside the seam.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.telemetry import logs
from sr_tasks.telemetry.statsd import Instruments

log = logging.getLogger(__name__)

LAST_TASK = "report"
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
    try:
        with logs.job_context(step.job_id, step=ti.task_id, chunk=chunk):
            yield step
    except AirflowException:
        raise
    except SrError as exc:
        log.error("%s: %s", exc.code, exc)
        if exc.retryable and try_number <= max_tries:
            raise
        _store(step, exc)
        raise AirflowFailException(f"{exc.code}: {exc}") from exc
    except Exception as exc:
        error = SrError(
            f"{ti.task_id} broke off with {type(exc).__name__}: {exc}",
            hint="This is a defect of the program, not of the video: the task's log has the traceback.",
        )
        log.error("%s: %s", error.code, error)
        if try_number <= min(1, max_tries):
            raise
        _store(step, error)
        raise AirflowFailException(f"{error.code}: {error}") from exc


def _store(step: RunningStep, error: SrError) -> None:
    try:
        JobFolder(step.settings.workdir, step.job_id).store_error(error)
    except (OSError, SrError) as exc:
        log.warning("The error could not be stored in the job's folder: %s", exc)
