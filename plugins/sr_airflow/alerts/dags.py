"""What Airflow calls when a run of another Dag than that of the jobs ends, and what is told of work nobody can do.

Makes the alert of it; never raises. The callbacks run in the Dag processor, as those of the jobs do.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from sr_airflow.alerts import links
from sr_airflow.alerts.alert import Alert, Kind
from sr_airflow.alerts.delivery import ledger, tell
from sr_airflow.alerts.found import run_folder, stored_failure
from sr_airflow.alerts.observing import began, dag_of, run_of, settings_of_callback
from sr_tasks.errors import SrError
from sr_tasks.jobs.failure import Failure
from sr_tasks.telemetry.guard import observes
from sr_tasks.telemetry.redaction import redacted

_UNTOLD = SrError(
    "The run ended before it was done, and no task of it said why.",
    hint="Its process was killed, its time was over, or somebody stopped it: its page says which.",
)


@observes
def dag_failed(context: Mapping[str, Any]) -> None:
    """For a Dag's `on_failure_callback`: tells of a run that failed, once."""
    settings, dag_id, run_id = settings_of_callback(), dag_of(context), str(context["run_id"])
    stored = stored_failure(run_folder(settings, dag_id, run_id), began(context))
    failure = stored or Failure.of(_UNTOLD, step=_failed_task(context))
    tell(
        Alert(
            kind=Kind.DAG,
            dag=dag_id,
            job_id=run_id,
            run=run_of(context),
            message=failure.message,
            hint=failure.hint,
            code=failure.code,
            fingerprint=failure.fingerprint,
            step=failure.step,
            job_url=links.job(dag_id, run_id),
            log_url=links.log(dag_id, run_id, failure.step) if failure.step else "",
        ),
        settings,
    )


def _failed_task(context: Mapping[str, Any]) -> str:
    """The task that Airflow says the run failed by, if it does."""
    return str(getattr(context.get("ti"), "task_id", ""))


@observes
def dag_recovered(context: Mapping[str, Any]) -> None:
    """For the `on_success_callback` of a Dag that runs by itself: tells that it works again, if it was told to fail."""
    settings, dag_id, run_id = settings_of_callback(), dag_of(context), str(context["run_id"])
    alert = Alert(
        kind=Kind.RECOVERED,
        dag=dag_id,
        job_id=run_id,
        run=run_of(context),
        message=f"{dag_id} works again: a run of it has succeeded.",
        job_url=links.job(dag_id, run_id),
    )
    if ledger(settings).settled(alert.subject):
        tell(alert, settings)


@observes
def put_aside(dag_id: str, what: str, code: str, message: str, hint: str) -> None:
    """Note that something asks for no job that can be done: `what` names it. Told once, by the Dag `send_alerts`.

    Sends nothing itself, so that a trigger's process waits for no mail server.
    """
    ledger(settings_of_callback()).post(
        Alert(
            kind=Kind.ASIDE,
            dag=dag_id,
            job_id=redacted(what),
            run=hashlib.sha256(what.encode("utf-8", "replace")).hexdigest()[:16],
            message=redacted(message),
            hint=redacted(hint),
            code=code,
            job_url=links.dag(dag_id),
        )
    )


def refused(dag_id: str, reasons: Mapping[str, str]) -> None:
    """Note each source that was not taken, with the reason. Never raises."""
    for source, reason in reasons.items():
        put_aside(dag_id, source, "NOT_TAKEN", reason, "")
