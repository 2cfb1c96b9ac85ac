"""Enlarge one video and prove the result.

Takes a video by path or `s3://` address, enlarges its pictures with a super-resolution model, keeps everything else in
the file as it was, measures the result against the source, and delivers it with a manifest and a report. Some jobs are
at work at a time, the others wait to be admitted, by priority and by tenant. A doubtful result waits for a person,
among Airflow's required actions. The job's id is the run's id. A job that fails can be run again: chunks that are done
are not computed twice.
"""

from typing import Any

from airflow.sdk import TriggerRule, chain, dag, task
from sr_airflow.admission import admit_task
from sr_airflow.alerts.callbacks import job_failed, job_succeeded
from sr_airflow.deadlines import job_deadline
from sr_airflow.job import RETRIES, running_step
from sr_airflow.params import job_params
from sr_airflow.review import review_task
from sr_airflow.time_limits import LONGEST, limit_try
from sr_plugin import JobDeadline

from sr_tasks.config import Settings


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


@task(queue="gpu")
def prepare_model() -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import prepare_model

        return prepare_model.run(step.job_id, step.settings)


@task(pool="gpu", queue="gpu")
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


@task.branch
def gate() -> str:
    with running_step() as step:
        from sr_tasks.steps import gate

        return "review" if gate.run(step.job_id, step.settings)["review"] else "deliver"


@task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
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
    max_active_runs=100,
    default_args={"owner": "sr", "execution_timeout": LONGEST, "on_execute_callback": limit_try, **RETRIES},
    on_failure_callback=job_failed,
    on_success_callback=job_succeeded,
    deadline=job_deadline(JobDeadline()),
)
def upscale_video() -> None:
    validated, planned = validate(), plan()
    upscaled = upscale.expand(index=planned)
    reported = report()

    gated, delivered = gate(), deliver()
    settings = Settings.from_env()
    admitted, review = admit_task(settings), review_task(settings)

    chain(admitted, validated, planned, prepare_model(), upscaled, assemble(), assess(), gated, delivered, reported)
    gated >> review >> delivered
    reported >> clean().as_teardown(setups=validated, on_failure_fail_dagrun=True)


upscale_video()
