"""Release a version of a model: bring it, prove it, compare it, let some jobs try it.

Brings a weight file into the registry (or takes a version that is there), prepares and proves it on this deployment's
device, measures it on the golden set beside production, and puts it out as the candidate that a share of jobs get. From
then on the Dag `watch_releases` and every finished job ask the rule, which takes a worse candidate back by itself; a
person, or with policy `auto` the rule, makes a good one production. A version that stays behind production on the
golden set is refused, and its report kept.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import PokeReturnValue, chain, dag, task
from sr_airflow.alerts.callbacks import ReviewNeeded
from sr_airflow.alerts.dags import dag_failed
from sr_airflow.job import RETRIES, running_step
from sr_airflow.params import release_params

PROMOTE, ROLL_BACK = "Promote", "Roll back"


@task
def register() -> str:
    with running_step() as step:
        from sr_tasks.release.request import release_request
        from sr_tasks.steps import release

        return str(release.register(release_request(step.params), step.settings)["model"])


@task(queue="gpu")
def optimise(model: str) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import release

        return release.optimise(model, step.settings)


@task(queue="gpu")
def evaluate(model: str) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import release

        return release.evaluate(model, step.settings)


@task
def compare(model: str) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import release

        return release.compare_with_production(model, step.settings)


@task
def begin(model: str) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.release.request import release_request
        from sr_tasks.steps import release

        return release.begin(model, release_request(step.params), step.job_id, step.settings)


@task.branch
def who_decides(begun: dict[str, Any]) -> list[str]:
    with running_step() as step:
        if begun["channel"] == "production":
            return []
        return ["review"] if step.params["policy"] == "person" else ["watch"]


@task
def settle(model: str, answer: dict[str, Any]) -> dict[str, Any]:
    with running_step() as step:
        from sr_tasks.steps import release

        person = (answer.get("responded_by_user") or {}).get("name") or "time limit"
        decide = release.promote if answer["chosen_options"] == [PROMOTE] else release.roll_back
        return decide(model, person, step.settings)


@task.sensor(poke_interval=300.0, timeout=timedelta(days=30).total_seconds(), mode="reschedule")
def watch(model: str) -> PokeReturnValue:
    with running_step() as step:
        from sr_tasks.steps import release

        outcome = release.outcome(model, step.settings)
        return PokeReturnValue(is_done=outcome is not None, xcom_value=outcome)


@dag(
    schedule=None,
    params=release_params(),
    doc_md=__doc__,
    tags=["super-resolution", "models"],
    max_active_runs=4,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
)
def release_model() -> None:
    model = register()
    begun, deciding = begin(model), watch(model)
    review = HITLOperator(
        task_id="review",
        subject="Make {{ ti.xcom_pull(task_ids='register') }} production?",
        body="It is out at {{ ti.xcom_pull(task_ids='begin')['share'] }} of jobs. Report against production: "
        "`{{ ti.xcom_pull(task_ids='compare')['report'] }}`. If the rule takes it back meanwhile, it stays taken back.",
        options=[PROMOTE, ROLL_BACK],
        defaults=ROLL_BACK,
        response_timeout=timedelta(days=30),
        notifiers=[ReviewNeeded()],
    )
    decider = who_decides(begun)
    chain(model, optimise(model), evaluate(model), compare(model), begun, decider, [review, deciding])
    settle(model, review.output)


release_model()
