"""Enlarge one video and prove the result.

Takes a video by path or `s3://` address, enlarges its pictures with a super-resolution model, keeps everything else in
the file as it was, measures the result against the source, and delivers it with a manifest and a report. The job's id
is the run's id. A job that fails can be run again: chunks that are done are not computed twice.
"""

from typing import Any

from airflow.sdk import chain, dag, task
from sr_airflow.job import RETRIES, running_step
from sr_airflow.params import job_params


@task
def validate() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import validate

        return validate.run(step.spec, step.job_id, step.settings)


@task
def plan() -> list[int]:
    with running_step() as step:
        from sr_tasks.steps import plan

        return plan.run(step.job_id, step.settings)["chunks"]


@task
def prepare_model() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import prepare_model

        return prepare_model.run(step.job_id, step.settings)


@task(pool="gpu")
def upscale(index: int) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import upscale

        return upscale.run(step.job_id, index, step.settings)


@task
def assemble() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import assemble

        return assemble.run(step.job_id, step.settings)


@task
def assess() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import assess

        return assess.run(step.job_id, step.settings)


@task
def gate() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import gate

        return gate.run(step.job_id, step.settings)


@task
def deliver() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import deliver

        return deliver.run(step.job_id, step.settings)


@task
def report() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import report

        return report.run(step.job_id, step.settings)


@task
def clean() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import clean

        cleaned = clean.run(step.job_id, step.settings, failed=step.job_failed())
        step.fail_with_job()
        return cleaned


@dag(
    schedule=None,
    params=job_params(),
    doc_md=__doc__,
    tags=["super-resolution", "video"],
    max_active_runs=4,
    default_args={"owner": "sr", **RETRIES},
)
def upscale_video() -> None:
    validated, planned = validate(), plan()
    upscaled = upscale.expand(index=planned)
    reported = report()

    chain(validated, planned, prepare_model(), upscaled, assemble(), assess(), gate(), deliver(), reported)
    reported >> clean().as_teardown(setups=validated, on_failure_fail_dagrun=True)


upscale_video()
