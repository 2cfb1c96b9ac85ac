"""Uploads as Airflow hears of them: the trigger on a real SQS protocol, and the Dag's form, clock and queue."""

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from sr_airflow.arrivals import held, uploads
from sr_airflow.arrivals.uploads import UploadsTrigger

from sr_tasks.errors import UsageError
from tests.dags.interpreters import HEAVY, python
from tests.object_store import serving

RULES = """
uploads:
  - prefix: s3://media/in/
    output: s3://out/{folder}{stem}_x{scale}{suffix}
    settle_s: 0
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "arrivals.yaml"
    file.write_text(RULES)
    monkeypatch.setenv("SR_ARRIVALS_FILE", str(file))
    return file


@pytest.fixture
def bucket(endpoint: str, rules: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[tuple[Any, Any, str]]:
    """A bucket that tells a queue of new objects: the S3 client, the SQS client, the queue's address."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("SR_S3_ENDPOINT_URL", endpoint)
    s3, sqs = boto3.client("s3", endpoint_url=endpoint), boto3.client("sqs", endpoint_url=endpoint)
    queue = sqs.create_queue(QueueName=request.node.name[:60].replace("[", "-").replace("]", ""))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.create_bucket(Bucket="media")
    events = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="media", NotificationConfiguration=events)
    yield s3, sqs, queue
    s3.put_bucket_notification_configuration(Bucket="media", NotificationConfiguration={})


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Stands in for the runs that Airflow has."""
    there: set[str] = set()
    monkeypatch.setattr(held, "accepted", lambda job_ids: len(there & set(job_ids)))
    monkeypatch.setattr(held, "POLL_S", 0.05)
    monkeypatch.setattr(uploads, "WAIT_S", 1)
    return there


@contextlib.asynccontextmanager
async def listening(queue: str) -> AsyncIterator[list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in UploadsTrigger(queue=queue).run():
            told.extend(event.payload["objects"])

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        if task.done():
            task.result()  # what broke the trigger
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)


def hidden(sqs: Any, queue: str) -> int:
    """Messages that were received and not deleted."""
    name = "ApproximateNumberOfMessagesNotVisible"
    answer = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name, "ApproximateNumberOfMessages"])
    return sum(int(count) for count in answer["Attributes"].values())


def test_an_upload_is_told_of_and_its_message_deleted_once_the_job_is_accepted(
    bucket: tuple[Any, Any, str], runs: set[str]
) -> None:
    s3, sqs, queue = bucket

    async def story() -> None:
        async with listening(queue) as told:
            s3.put_object(Bucket="media", Key="in/a film.mp4", Body=b"film")
            await until(lambda: told)
            assert told[0]["uri"] == "s3://media/in/a film.mp4"
            assert hidden(sqs, queue) > 0, "nothing is deleted before the job is accepted"
            from sr_tasks.arrivals.files import Arrived

            runs.add(Arrived(**told[0]).job_id)
            await until(lambda: hidden(sqs, queue) == 0)

    asyncio.run(story())


def test_messages_of_no_interest_are_deleted_and_do_not_stop_the_others(
    bucket: tuple[Any, Any, str], runs: set[str]
) -> None:
    s3, sqs, queue = bucket
    sqs.send_message(QueueUrl=queue, MessageBody="nonsense")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    s3.put_object(Bucket="media", Key="in/readme.txt", Body=b"text")
    s3.put_object(Bucket="media", Key="in/b.mp4", Body=b"film")

    async def story() -> None:
        async with listening(queue) as told:
            await until(lambda: told and hidden(sqs, queue) == 1)
            assert [row["uri"] for row in told] == ["s3://media/in/b.mp4"]

    asyncio.run(story())


def test_a_queue_that_is_not_there_yet_is_waited_for(
    bucket: tuple[Any, Any, str], runs: set[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    s3, sqs, queue = bucket
    monkeypatch.setattr(uploads, "PAUSE_S", 0.1)
    later = queue + "-later"

    async def story() -> None:
        async with listening(later) as told:
            await until(lambda: any(later in message for message in caplog.messages))
            sqs.create_queue(QueueName=later.rpartition("/")[2])
            s3.put_object(Bucket="media", Key="in/c.mp4", Body=b"film")
            body = {"Records": [{"eventName": "ObjectCreated:Put"}]}
            body["Records"][0]["s3"] = {"bucket": {"name": "media"}, "object": {"key": "in/c.mp4"}}  # type: ignore[assignment]
            sqs.send_message(QueueUrl=later, MessageBody=json.dumps(body))
            await until(lambda: told)

    asyncio.run(story())


def _schedule() -> Any:
    import on_upload

    return importlib.reload(on_upload).on_upload().timetable


def test_without_prefixes_the_dag_never_starts_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SR_ARRIVALS_FILE", raising=False)
    assert not _schedule().can_be_scheduled


def test_prefixes_are_listed_every_minute(rules: Path) -> None:
    timetable = _schedule()
    assert isinstance(timetable, CronTriggerTimetable)
    assert timetable.expression == "* * * * *"


def test_with_a_queue_the_dag_starts_by_events_and_by_the_clock(rules: Path) -> None:
    rules.write_text(RULES + "notifications: https://sqs.eu-west-1.amazonaws.com/1/uploads\n")
    timetable = _schedule()
    assert isinstance(timetable, AssetOrTimeSchedule)
    (watcher,) = timetable.asset_condition.objects[0].watchers
    assert watcher.trigger.serialize()[1] == {"queue": "https://sqs.eu-west-1.amazonaws.com/1/uploads"}


def test_rules_that_would_loop_are_an_error_of_the_dag(rules: Path) -> None:
    rules.write_text("uploads: [{prefix: 's3://b/', output: 's3://b/out/{stem}{suffix}'}]")
    with pytest.raises(UsageError, match="without end"):
        _schedule()


def test_the_dag_is_documented_owned_bounded_and_retried(rules: Path) -> None:
    import on_upload

    dag = importlib.reload(on_upload).on_upload()
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "accept": ["retry"],
        "retry": ["list_failures"],
        "list_failures": [],
    }
    assert dag.doc_md
    assert "arrivals" in dag.tags
    assert dag.owner == "sr"
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert all(task.retries == 3 for task in dag.tasks)
    assert dag.params.get_param("retry").value == ""


@pytest.mark.parametrize("name", ["on_upload", "on_message"])
def test_loading_a_dag_loads_nothing_heavy(name: str) -> None:
    assert python(f"import sys, {name}; print([name for name in {HEAVY} if name in sys.modules])") == "[]"
