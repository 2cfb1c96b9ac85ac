"""Turn messages on RabbitMQ into jobs.

A message is a job's request as JSON. It is acknowledged once its job is accepted; the same message again is the same
job; what is no job goes to the dead-letter queue with the reason. Idle unless SR_AMQP_URL names a broker.
"""

from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.arrivals.events import payloads
from sr_airflow.arrivals.messages import MessagesTrigger
from sr_airflow.job import RETRIES, running_step

from sr_tasks.config import Settings

messages = Asset("sr-messages", watchers=[AssetWatcher(name="rabbitmq", trigger=MessagesTrigger())])


@task
def accept() -> dict[str, Any]:
    with running_step() as step:
        from sr_airflow.alerts.dags import refused
        from sr_airflow.arrivals.inbox import AirflowInbox

        from sr_tasks.arrivals import taking

        taken = taking.take_jobs(payloads("jobs"), AirflowInbox(), step.settings).summary()
        refused("on_message", taken["refused"])
        return taken


@dag(
    schedule=[messages] if Settings.from_env().amqp_url else None,
    doc_md=__doc__,
    tags=["super-resolution", "arrivals"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def on_message() -> None:
    accept()


on_message()
