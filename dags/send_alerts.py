"""Tell what was held back.

The first alert with a cause goes out when its job fails. Those that follow it are counted, and this Dag sends them as
one digest once their quiet time is over. It also sends again what Slack or the mail server did not take before, and
reminds reviewers of a question that is about to lapse.
"""

from datetime import timedelta

from airflow.sdk import dag, get_current_context, task
from sr_airflow.job import RETRIES


@task
def send() -> dict[str, int]:
    from sr_airflow.alerts.callbacks import send_due

    return send_due()


@task
def remind() -> int:
    from sr_airflow.reminders import remind

    return remind(get_current_context()["ti"])


@dag(
    schedule=timedelta(minutes=5),
    catchup=False,
    doc_md=__doc__,
    tags=["super-resolution", "operations"],
    max_active_runs=1,
    default_args={"owner": "sr", **RETRIES},
)
def send_alerts() -> None:
    send()
    remind()


send_alerts()
