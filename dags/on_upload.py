"""Turn each new file under the watched prefixes into exactly one job.

Every minute the prefixes of SR_ARRIVALS_FILE are listed; a bucket that tells an SQS queue of new objects is heard at
once, and the listing finds what a message did not name. A file that is still being written is left alone, a new
version of a file is a new job, and a job that was accepted before is not begun again. To run failed jobs again,
start this Dag by hand with the prefix they lie under in `retry`.
"""

from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable, Param, chain, dag, task
from airflow.sdk.exceptions import DownstreamTasksSkipped
from sr_airflow.alerts.dags import dag_failed, dag_recovered
from sr_airflow.arrivals.events import payloads
from sr_airflow.arrivals.uploads import UploadsTrigger
from sr_airflow.job import RETRIES, running_step

from sr_tasks.arrivals import rules
from sr_tasks.config import Settings


def schedule() -> Any:
    """Listings by the clock, and events where a queue is named; nothing where no prefix is."""
    wanted = rules.load(Settings.from_env())
    if not wanted.uploads:
        return None
    listings = CronTriggerTimetable(wanted.listing_cron, timezone="UTC")
    if not wanted.notifications:
        return listings
    watcher = AssetWatcher(name="sqs", trigger=UploadsTrigger(queue=wanted.notifications))
    return AssetOrTimeSchedule(timetable=listings, assets=[Asset("sr-uploads", watchers=[watcher])])


@task
def accept() -> dict[str, Any]:
    with running_step() as step:
        from sr_airflow.alerts.dags import refused
        from sr_airflow.arrivals.inbox import AirflowInbox

        from sr_tasks.arrivals import taking

        taken = taking.take(payloads("objects"), AirflowInbox(), step.settings)
        refused("on_upload", taken["refused"])
        if taken["from"] == "events":  # the next upload waits for the end of this run
            step.task_instance.xcom_push(key="return_value", value=taken)
            raise DownstreamTasksSkipped(tasks=["retry", "list_failures"])
        return taken


@task
def retry() -> list[dict[str, str]]:
    with running_step() as step:
        from sr_airflow.arrivals.inbox import AirflowInbox

        from sr_tasks.arrivals import taking

        prefix = step.params["retry"]
        return taking.retry(prefix, AirflowInbox(), step.settings) if prefix else []


@task
def list_failures() -> list[dict[str, str]]:
    with running_step() as step:
        from sr_airflow.arrivals.inbox import AirflowInbox

        from sr_tasks.arrivals import taking

        return taking.failures(AirflowInbox(), step.settings)


@dag(
    schedule=schedule(),
    params={"retry": Param("", "Prefix, as s3://bucket/prefix/, whose failed jobs are run again.", type="string")},
    doc_md=__doc__,
    tags=["super-resolution", "arrivals"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
    on_failure_callback=dag_failed,
    on_success_callback=dag_recovered,
)
def on_upload() -> None:
    chain(accept(), retry(), list_failures())


on_upload()
