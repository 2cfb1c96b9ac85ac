"""What Airflow calls when a job ends, waits for a person or is late. Makes the alert of it; never raises.

The Dag's own callbacks run in the Dag processor, so they come too when the worker of a task was killed.
"""

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ParamSpec

from airflow.sdk import BaseNotifier
from loguru import logger

from sr_airflow.alerts import links
from sr_airflow.alerts.alert import REFUSALS, Alert, Kind
from sr_airflow.alerts.delivery import deliver, ledger, tell
from sr_airflow.alerts.found import failure_of, model_of, report_of
from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.telemetry import logs

DAG_ID = "upscale_video"

_Given = ParamSpec("_Given")


def _quietly(tells: Callable[_Given, None]) -> Callable[_Given, None]:
    """Alerts observe: whatever goes wrong in one is logged, and what is observed goes on."""

    @functools.wraps(tells)
    def guarded(*given: _Given.args, **named: _Given.kwargs) -> None:
        try:
            tells(*given, **named)
        except Exception as exc:
            logger.opt(exception=exc).error("{} could not tell anybody: {}", tells.__name__, exc)

    return guarded


@_quietly
def job_failed(context: Mapping[str, Any]) -> None:
    """For the Dag's `on_failure_callback`: tells of a job that ended without a delivery, once a run."""
    settings, run_id = _settings(), str(context["run_id"])
    folder = JobFolder(settings.workdir, run_id)
    failure = failure_of(folder, _began(context))
    logger.error("{} {} in {} (cause {})", failure.code, failure.message, failure.step, failure.fingerprint)
    tell(
        Alert(
            kind=Kind.REFUSED if failure.code in REFUSALS else Kind.FAILED,
            job_id=run_id,
            run=_run(context),
            message=failure.message,
            hint=failure.hint,
            code=failure.code,
            fingerprint=failure.fingerprint,
            step=failure.step,
            chunk=failure.chunk,
            model=model_of(folder),
            job_url=links.job(DAG_ID, run_id),
            log_url=links.log(DAG_ID, run_id, failure.step, failure.chunk) if failure.step else "",
            report=report_of(folder),
        ),
        settings,
    )


@_quietly
def job_succeeded(context: Mapping[str, Any]) -> None:
    """For the Dag's `on_success_callback`: tells of a delivery if something bad was told of the job before."""
    settings, run_id = _settings(), str(context["run_id"])
    if not ledger(settings).recovered(run_id):
        return
    folder = JobFolder(settings.workdir, run_id)
    tell(
        Alert(
            kind=Kind.RECOVERED,
            job_id=run_id,
            run=_run(context),
            message="The job that an alert was sent for is done and delivered.",
            model=model_of(folder),
            job_url=links.job(DAG_ID, run_id),
            report=report_of(folder),
        ),
        settings,
    )


@_quietly
def deadline_missed(context: Mapping[str, Any]) -> None:
    """For the Dag's deadline: counts and tells of a job that is late. A job that failed before it was told of then."""
    from sr_tasks.telemetry.statsd import Instruments

    settings, run, due = _settings(), context["dag_run"], context["deadline"]["deadline_time"]
    if run.get("state") not in ("queued", "running"):
        return
    instruments = Instruments(settings)
    instruments.deadline_missed()
    instruments.close()
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
            model=model_of(JobFolder(settings.workdir, run_id)),
            job_url=links.job(DAG_ID, run_id),
        ),
        settings,
    )


class ReviewNeeded(BaseNotifier):
    """For the `notifiers` of the task that asks a person: tells reviewers where to answer, once a run."""

    def notify(self, context: Any) -> None:
        _review_needed(context)


@_quietly
def _review_needed(context: Mapping[str, Any]) -> None:
    settings, run_id, step = _settings(), str(context["run_id"]), str(context["ti"].task_id)
    folder = JobFolder(settings.workdir, run_id)
    reasons = folder.load_json("verdict").get("reasons", []) if folder.has("verdict") else []
    tell(
        Alert(
            kind=Kind.REVIEW,
            job_id=run_id,
            run=_run(context),
            message=" ".join(["The output waits for somebody to approve or reject it.", *map(str, reasons[:3])]),
            hint="Without an answer it is rejected when its time is over.",
            step=step,
            model=model_of(folder),
            job_url=links.job(DAG_ID, run_id),
            log_url=links.review(DAG_ID, run_id, step),
            report=report_of(folder),
        ),
        settings,
    )


@_quietly
def night_over(dag_id: str, run_id: str, night: Mapping[str, Any]) -> None:
    """Tell operations, once a run, what a night did and what is left: `night` is what its report returns."""
    text = (
        f"{night['completed']} enhanced, {len(night['failed'])} failed, {len(night['refused'])} refused; "
        f"{night['left']} left, {night['left_over_budget']} of them over the budget; {night['up_to_date']} up to date. "
        f"{night['device_hours']:g} device hours."
    )
    page = links.job(dag_id, run_id)
    tell(Alert(kind=Kind.SUMMARY, job_id=dag_id, run=run_id, message=text, job_url=page), _settings())


def send_due() -> dict[str, int]:
    """Send digests whose time has come, and what could not be sent before. Raises OSError."""
    return deliver(ledger(_settings()))


def _settings() -> Settings:
    settings = Settings.from_env()
    logs.bridge_to_logging(settings)
    return settings


def _run(context: Mapping[str, Any]) -> str:
    run = context.get("dag_run")
    return str(getattr(run, "clear_number", None) or 0) if run is not None else ""


def _began(context: Mapping[str, Any]) -> datetime | None:
    began = getattr(context.get("dag_run"), "start_date", None)
    return began if isinstance(began, datetime) else None


def _clock_time(due: object) -> str:
    if isinstance(due, str):
        due = datetime.fromisoformat(due)
    return f"{due.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if isinstance(due, datetime) else str(due)
