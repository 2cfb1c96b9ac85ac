"""Enhance what the archives have no up-to-date output for, within a night's budget.

Walks the archives of SR_ARRIVALS_FILE and compares the manifest beside each output with the source, the model's
version and the settings of today. What is stale is enhanced newest or oldest first, a few jobs at a time, until the
device hours, the money or the time is used up; the rest is counted and comes another night.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import CronTriggerTimetable, chain, dag, task
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.job import RETRIES, running_step

from sr_tasks.arrivals import rules
from sr_tasks.config import Settings


def schedule() -> Any:
    """The clock of the rules, where there are archives."""
    wanted = rules.load(Settings.from_env())
    return CronTriggerTimetable(wanted.night.cron, timezone="UTC") if wanted.archives else None


@task
def choose() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.arrivals import night

        return night.choose(step.job_id, step.settings)


@task.sensor(poke_interval=30.0, timeout=timedelta(hours=23).total_seconds(), mode="reschedule")
def enhance() -> bool:
    with running_step() as step:
        from sr_airflow.arrivals.inbox import AirflowInbox

        from sr_tasks.arrivals import night

        return night.advance(step.job_id, AirflowInbox(), step.settings)


@task
def report() -> dict[str, Any]:
    with running_step() as step:
        from sr_airflow.alerts.callbacks import night_over

        from sr_tasks.arrivals import night

        done = night.report(step.job_id, step.settings)
        night_over("nightly_archive", step.job_id, done)
        return done


@dag(
    schedule=schedule(),
    doc_md=__doc__,
    tags=["super-resolution", "arrivals"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def nightly_archive() -> None:
    chosen = choose()
    chain(chosen, enhance(), report().as_teardown(setups=chosen))


nightly_archive()
