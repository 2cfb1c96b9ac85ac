"""Count the jobs that wait and the jobs that run, for the metrics. Without StatsD it counts nothing."""

from datetime import timedelta

from airflow.sdk import dag, task
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
)
def watch_queue() -> None:
    count()


watch_queue()
