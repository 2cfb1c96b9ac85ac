"""What Airflow calls when a job ends, waits for a person or is late. Makes the alert of it; never raises.

The Dag's own callbacks run in the Dag processor, so they come too when the worker of a task was killed.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseNotifier
from loguru import logger

from sr_airflow.alerts import links
from sr_airflow.alerts.alert import REFUSALS, Alert, Kind
from sr_airflow.alerts.delivery import deliver, ledger, tell
from sr_airflow.alerts.found import failure_of
from sr_airflow.alerts.observing import began, run_of, settings_of_callback
from sr_airflow.deadlines import due_at
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.jobs.view import JobView
from sr_tasks.telemetry.durations import in_words
from sr_tasks.telemetry.guard import observes


@observes
def job_failed(context: Mapping[str, Any]) -> None:
    """For the Dag's `on_failure_callback`: tells of a job that ended without a delivery, once a run."""
    settings, run_id = settings_of_callback(), str(context["run_id"])
    failure, job = _what_failed(run_id, context, settings)
    logger.error("{} {} in {} (cause {})", failure.code, failure.message, failure.step, failure.fingerprint)
    tell(
        Alert(
            kind=Kind.REFUSED if failure.code in REFUSALS else Kind.FAILED,
            job_id=run_id,
            run=run_of(context),
            message=failure.message,
            hint=failure.hint,
            code=failure.code,
            fingerprint=failure.fingerprint,
            step=failure.step,
            chunk=failure.chunk,
            model=job.model,
            job_url=links.job(JOB_DAG, run_id),
            log_url=links.log(JOB_DAG, run_id, failure.step, failure.chunk) if failure.step else "",
            report=job.report,
        ),
        settings,
    )


def _what_failed(run_id: str, context: Mapping[str, Any], settings: Settings) -> tuple[Failure, JobView]:
    """The failure, and the job as far as it came. A job whose id cannot name a folder has none."""
    try:
        folder = JobFolder(settings.workdir, run_id)
    except UsageError as exc:
        return Failure.of(exc), JobView(job_id=run_id)
    return failure_of(folder, began(context)), JobView.of(folder)


@observes
def job_succeeded(context: Mapping[str, Any]) -> None:
    """For the Dag's `on_success_callback`: tells who wants to know that the job is done, and operations of a delivery
    if something bad was told of the job before."""
    settings, run_id = settings_of_callback(), str(context["run_id"])
    settled = ledger(settings).settled(run_id)
    job = JobView.of(JobFolder(settings.workdir, run_id))
    if job.delivery is not None:
        tell(_done(job, run_of(context)), settings)
    if not settled:
        return
    tell(
        Alert(
            kind=Kind.RECOVERED,
            job_id=run_id,
            run=run_of(context),
            message=_delivered_after(settled, context.get("dag_run"), settings),
            model=job.model,
            job_url=links.job(JOB_DAG, run_id),
            report=job.report,
        ),
        settings,
    )


def _done(job: JobView, run: str) -> Alert:
    return Alert(
        kind=Kind.DONE,
        job_id=job.job_id,
        run=run,
        message=f"{job.source or 'The video'} is enhanced and delivered.",
        model=job.model,
        job_url=links.job(JOB_DAG, job.job_id),
        output=links.output(job.job_id),
        report=links.report(job.job_id) if job.report else "",
    )


def _delivered_after(settled: frozenset[Kind], dag_run: Any, settings: Settings) -> str:
    """A sentence on what is over: a failure, a missed deadline and by how much, or both."""
    said = []
    if settled - {Kind.DEADLINE}:
        said.append("It had failed before and was run again.")
    due = due_at(getattr(dag_run, "conf", None), getattr(dag_run, "run_after", None), settings)
    if Kind.DEADLINE in settled and due is not None:
        done = getattr(dag_run, "end_date", None) or datetime.now(UTC)
        said.append(f"It was due at {_clock_time(due)} and came {in_words(round((done - due).total_seconds()))} late.")
    return " ".join(["The job that an alert was sent for is done and delivered.", *said])


@observes
def deadline_missed(context: Mapping[str, Any]) -> None:
    """For the Dag's deadline: counts and tells of a job that is late. A job that failed before it was told of then."""
    from sr_tasks.telemetry.statsd import Instruments

    settings, run, due = settings_of_callback(), context["dag_run"], context["deadline"]["deadline_time"]
    if run.get("state") not in ("queued", "running"):
        return
    with Instruments(settings) as instruments:
        instruments.deadline_missed()
    run_id = str(run["dag_run_id"])
    tell(
        Alert(
            kind=Kind.DEADLINE,
            job_id=run_id,
            run=str(due),
            message=f"The job was due at {_clock_time(due)} and is {run['state']}.",
            hint="It goes on. Its page says what it waits for: a free device, a retry, a person."
            if not settings.deadline_cancels
            else "It is cancelled before its next step, as SR_DEADLINE_CANCELS asks.",
            code="DEADLINE_MISSED",
            model=JobView.of(JobFolder(settings.workdir, run_id)).model,
            job_url=links.job(JOB_DAG, run_id),
        ),
        settings,
    )


class ReviewNeeded(BaseNotifier):
    """For the `notifiers` of the task that asks a person: tells reviewers where to answer, once a run."""

    def notify(self, context: Any) -> None:
        _review_needed(context)


@observes
def _review_needed(context: Mapping[str, Any]) -> None:
    settings, run_id, ti = settings_of_callback(), str(context["run_id"]), context["ti"]
    is_job = ti.dag_id == JOB_DAG
    asked = _about_output(run_id, settings) if is_job else _about_task(context["task"])
    tell(
        Alert(
            kind=Kind.REVIEW,
            dag="" if is_job else ti.dag_id,
            job_id=run_id,
            run=run_of(context),
            step=ti.task_id,
            job_url=links.job(ti.dag_id, run_id),
            log_url=links.review(ti.dag_id, run_id, ti.task_id),
            **asked,
        ),
        settings,
    )


def _about_output(run_id: str, settings: Settings) -> dict[str, Any]:
    job = JobView.of(JobFolder(settings.workdir, run_id))
    reasons = job.verdict.reasons[:3] if job.verdict else ()
    lapse = "rejected" if settings.review_default == "reject" else "delivered"
    return {
        "message": " ".join(["The output waits for somebody to approve or reject it.", *reasons]),
        "hint": f"Without an answer it is {lapse} when its time is over.",
        "model": job.model,
        "report": links.report(job.job_id),
    }


def _about_task(task: Any) -> dict[str, Any]:
    """What the task itself asks, and what it takes for an answer if there is none."""
    lapse = ", ".join(map(str, task.defaults or ()))
    return {"message": str(task.subject), "hint": f"Without an answer: {lapse}." if lapse else ""}


@observes
def night_over(dag_id: str, run_id: str, night: Mapping[str, Any]) -> None:
    """Tell operations, once a run, what a night did and what is left: `night` is what its report returns."""
    text = (
        f"{night['completed']} enhanced, {len(night['failed'])} failed, {len(night['refused'])} refused; "
        f"{night['left']} left, {night['left_over_budget']} of them over the budget; {night['up_to_date']} up to date. "
        f"{night['device_hours']:g} device hours."
    )
    page = links.job(dag_id, run_id)
    tell(Alert(kind=Kind.SUMMARY, job_id=dag_id, run=run_id, message=text, job_url=page), settings_of_callback())


def send_due() -> dict[str, int]:
    """Send digests whose time has come, and what could not be sent before. Raises OSError."""
    book = ledger(settings_of_callback())
    book.sweep()
    return deliver(book)


def _clock_time(due: object) -> str:
    if isinstance(due, str):
        due = datetime.fromisoformat(due)
    return f"{due.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if isinstance(due, datetime) else str(due)
