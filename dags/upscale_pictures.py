"""Enlarge a folder of still pictures.

Takes a folder, or an `s3://bucket/prefix/`, enlarges every still picture below it, and puts each under its own name
into the output folder, once it is proved. The files are dealt out to at most 128 tasks. A picture that cannot be
enlarged, or comes out doubtful, is listed with the reason and stops no other. Beside the pictures lie a manifest of all
files and a report with a contact sheet, the worst first. A run that failed can be run again: pictures that are done are
not computed twice.
"""

from typing import Any

from airflow.sdk import TriggerRule, chain, dag, task
from sr_airflow.alerts.dags import dag_failed
from sr_airflow.job import RETRIES, running_step
from sr_airflow.params import job_params


@task
def list_pictures() -> list[int]:
    with running_step() as step:
        from sr_tasks.folders import job

        return list(job.list_pictures(step.spec, step.settings)["shards"])


@task(pool="gpu", queue="gpu")
def enlarge(shard: int) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.folders import job

        return job.enlarge(step.spec, shard, step.settings)


@task(trigger_rule=TriggerRule.ALL_DONE)
def report() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.folders import job

        return job.finish(step.spec, step.settings)


@dag(
    schedule=None,
    params=job_params(),
    doc_md=__doc__,
    tags=["super-resolution", "pictures"],
    max_active_runs=4,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
)
def upscale_pictures() -> None:
    chain(enlarge.expand(shard=list_pictures()), report())


upscale_pictures()
