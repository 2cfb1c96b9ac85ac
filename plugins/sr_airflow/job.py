"""The seam around every task body: the job it works on, its log, and errors translated into Airflow's retry policy.

Does no work of its own; a task imports its step inside the seam.
"""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from sr_airflow import time_limits
from sr_airflow.alerts.found import run_folder
from sr_airflow.alerts.marks import leave, marked
from sr_airflow.deadlines import is_over
from sr_airflow.fairness import applicant
from sr_airflow.internals import leave_out_of_log
from sr_airflow.limits import limited
from sr_airflow.observed import gave_up, observed, retry_caused
from sr_tasks.config import Settings
from sr_tasks.errors import JobCancelled, SrError, StepTimedOut, UsageError
from sr_tasks.jobs.admission import Admissions
from sr_tasks.jobs.failure import fingerprint
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.jobs.status import JOB_DAG, Task
from sr_tasks.telemetry import logs
from sr_tasks.telemetry.faults import fault_of
from sr_tasks.telemetry.redaction import redacted
from sr_tasks.telemetry.statsd import Instruments

log = logging.getLogger(__name__)

RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
}
"""For what may pass next time; `running_step` ends a task at once for what cannot."""


class JobEnded(AirflowFailException):
    """Ends a task whose log has said why in a sentence. Airflow adds no stack of frames to it."""


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
        ti, last_task = self.task_instance, Task.REPORT.value
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[last_task])
        return bool(states.get(ti.run_id, {}).get(last_task) != "success")

    def fail_with_job(self) -> None:
        """Raises JobEnded if the job failed. For the last task, by which Airflow judges the run.

        Without it a run that somebody stopped would end as a success: Airflow skips what had not begun yet.
        """
        if self.job_failed():
            why = "The job failed. Its finished chunks are kept for another run."
            log.error(why)
            leave_out_of_log(JobEnded)
            raise JobEnded(why)


@contextmanager
def running_step() -> Iterator[RunningStep]:
    """Give the step of the current task, and turn what it raises into Airflow's terms.

    An SrError that no retry can help, and the second unexpected exception in a row, become AirflowFailException; the
    others are left to Airflow's retries. Of what a request or its source caused the log has one line; the stack is for
    logs that show debug lines. The error of a last try is stored in the job's folder. Secrets in what is raised are
    masked, as Airflow logs it.
    """
    context = get_current_context()
    ti = context["ti"]
    step = RunningStep(job_id=ti.run_id, params=dict(context["params"]), settings=Settings.from_env(), task_instance=ti)
    try_number, max_tries = ti.try_number or 1, ti.max_tries or 0
    logs.bridge_to_logging(step.settings)
    if try_number > 1:
        with Instruments(step.settings) as instruments:
            instruments.retry_started()
    chunk = ti.map_index if ti.map_index is not None and ti.map_index >= 0 else None
    place = {"step": ti.task_id, "chunk": chunk}
    try:
        with (
            logs.job_context(step.job_id, step=ti.task_id, chunk=chunk),
            observed(ti, context["dag_run"], step.settings, chunk=chunk),
            limited(step.settings, queue=ti.task.queue),
            _watched(step, context["dag_run"], chunk),
        ):
            yield step
    except AirflowException:
        raise
    except (Exception, AirflowTaskTimeout) as exc:
        error, tries = _error_of(exc, ti.task_id, max_tries)
        is_tried_again = _is_tried_again(step, error, place, tries=tries)
        is_fit_to_show, shown = _is_fit_to_show(exc), redacted(str(error))
        if is_tried_again and is_fit_to_show:
            raise
        if is_tried_again:
            raise type(error)(shown) from None
        ended = f"{error.code}: {shown}"
        if fault_of(error.code) != "service":
            log.debug("Raised from here", exc_info=exc if is_fit_to_show else None)
            leave_out_of_log(JobEnded)
            raise JobEnded(ended) from None
        raise AirflowFailException(ended) from (exc if is_fit_to_show else None)


def _error_of(exc: BaseException, task_id: str, max_tries: int) -> tuple[SrError, int]:
    """What was raised in the words of the error tree, and how many of the tries it is worth."""
    if isinstance(exc, SrError):
        return exc, max_tries if exc.retryable else 0
    if isinstance(exc, AirflowTaskTimeout):
        timed_out = StepTimedOut(
            f"{task_id} was not done within its time limit of {time_limits.current()}.",
            hint="See in its log whether it stood still, or whether the machine is too slow for the job.",
        )
        return timed_out, max_tries
    unexpected = SrError(
        f"{task_id} broke off with {type(exc).__name__}: {exc}",
        hint="This is a defect of the program, not of the video: the task's log has the traceback.",
    )
    return unexpected, min(1, max_tries)


def _is_fit_to_show(exc: BaseException) -> bool:
    """Whether Airflow may log it with its traceback and causes. If not, that is logged here with secrets masked."""
    text = "".join(traceback.format_exception(exc))
    if redacted(text) == text:
        return True
    log.error("%s", redacted(text))
    return False


@contextmanager
def _watched(step: RunningStep, dag_run: Any, chunk: int | None) -> Iterator[None]:
    """For the steps of a job: mark that it runs, and do not begin what is too late where the deployment says so."""
    ti = step.task_instance
    if ti.dag_id != JOB_DAG:
        yield
        return
    if step.settings.deadline_cancels and ti.task_id != Task.CLEAN and is_over(dag_run, step.params, step.settings):
        raise JobCancelled(
            f"The deadline of the job had passed before {ti.task_id} began.",
            hint="Give it more time with deadline_minutes, or a higher priority; SR_DEADLINE_CANCELS=0 lets it go on.",
        )
    with marked(JobFolder(step.settings.workdir, step.job_id), ti.task_id, chunk), _counted(step, dag_run):
        yield


@contextmanager
def _counted(step: RunningStep, dag_run: Any) -> Iterator[None]:
    """Count the job among those at work, though it may never have asked, but not while it waits for a person."""
    task_id = step.task_instance.task_id
    if task_id in (Task.ADMIT, Task.CLEAN):
        yield
        return
    _keep_count(lambda admissions: admissions.count(applicant(dag_run, step.params)), step.settings)
    yield
    if task_id == Task.REVIEW:
        _keep_count(lambda admissions: admissions.release(step.job_id), step.settings)


def _keep_count(change: Callable[[Admissions], None], settings: Settings) -> None:
    """Without it a job more or less may be at work; that is no reason for this one to fail."""
    try:
        change(Admissions(settings.workdir))
    except (OSError, SrError) as exc:
        log.warning("The jobs at work could not be counted right: %s", exc)


def _is_tried_again(step: RunningStep, error: SrError, place: Mapping[str, Any], *, tries: int) -> bool:
    """Log the error; whether there is a try left of those it is worth. If not, it is stored as the job's."""
    cause = fingerprint(error.code, place["step"], error.message)
    log.error("%s: %s (cause %s)", error.code, redacted(str(error)), cause)
    if (step.task_instance.try_number or 1) <= tries:
        retry_caused(error.code, step.settings)
        return True
    _store(step, error, place)
    gave_up(step.task_instance, get_current_context()["dag_run"], error.code, step.settings)
    return False


def _store(step: RunningStep, error: SrError, place: Mapping[str, Any]) -> None:
    """Where that fails, a mark is left: it says at least which step it was."""
    try:
        folder = run_folder(step.settings, step.task_instance.dag_id, step.job_id)
    except UsageError as exc:
        log.warning("The error could not be stored: %s", exc)
        return
    try:
        folder.store_error(error, **place)
    except OSError as exc:
        log.warning("The error could not be stored in the job's folder: %s", exc)
        leave(folder, place["step"], place["chunk"])
