"""Clear scratch of what jobs that ended left: chunks kept for a resume, records, fetched sources, unfinished uploads.

What is older than SR_KEEP_DAYS goes, then the oldest until SR_KEEP_BYTES are left. A job that is queued, runs, or waits
for a person is never touched. Every night it only says what it would remove; a run with `confirm` on removes it. With
SR_PURGE_CONFIRMED set the nightly runs remove too.
"""

from typing import Any

from airflow.sdk import Param, dag, task
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.job import RETRIES, running_step

from sr_tasks.config import Settings


@task
def purge() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import purge

        return purge.run(step.settings, step.is_live, confirm=bool(step.params["confirm"]))


@dag(
    schedule="0 4 * * *",
    catchup=False,
    params={
        "confirm": Param(
            Settings.from_env().purge_confirmed,
            "Off: only say what would be removed.",
            schema={"type": "boolean", "title": "Remove"},
        )
    },
    doc_md=__doc__,
    tags=["super-resolution", "housekeeping"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def purge_workdirs() -> None:
    purge()


purge_workdirs()
