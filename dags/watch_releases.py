"""Look after the candidates of all models: take a worse one back, promote a good one where the policy says so.

Every job that ends asks the same rule; this Dag sees to it that a rollback does not wait for one.
"""

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.job import RETRIES, running_step


@task
def watch() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import release_watch

        return release_watch.run(step.settings)


@dag(
    schedule=timedelta(minutes=15),
    catchup=False,
    doc_md=__doc__,
    tags=["super-resolution", "models"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def watch_releases() -> None:
    watch()


watch_releases()
