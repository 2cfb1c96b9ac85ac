"""Count the jobs that wait and run, and look how full scratch is, for the metrics. Does nothing without StatsD."""

from datetime import timedelta

from airflow.sdk import dag, task
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.job import RETRIES, running_step


@task
def count() -> dict[str, int]:
    with running_step() as step:
        from sr_airflow.observed import queue_measured

        return queue_measured(step.task_instance, step.settings)


@dag(
    schedule=timedelta(minutes=2),
    catchup=False,
    doc_md=__doc__,
    tags=["super-resolution", "metrics"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def watch_queue() -> None:
    count()


watch_queue()
