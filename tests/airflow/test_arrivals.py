"""Uploads on a real Airflow: by event and by listing, each file one run, the failed one again on request."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from moto.server import ThreadedMotoServer
from sr_embedded.client import Client

from tests import clips
from tests.airflow.launcher import Launcher

pytestmark = pytest.mark.airflow

RUNS = "/api/v2/dags/upscale_video/dagRuns"
RULES = """
notifications: {queue}
listing_cron: "0 0 1 1 *"
max_waiting: 1000
uploads:
  - prefix: s3://media/in/
    output: s3://media/out/{{folder}}{{stem}}_x{{scale}}{{suffix}}
    settle_s: 0
    job: {{model: bicubic, preset: ultrafast}}
"""


class Deployment:
    """An embedded Airflow, a bucket that tells a queue, and a clock that never strikes."""

    def __init__(self, launcher: Launcher, s3: Any, sqs: Any, queue: str) -> None:
        self.launcher, self.s3, self.sqs, self.queue = launcher, s3, sqs, queue
        self.client: Client = launcher.client()

    def kill_triggerer(self) -> None:
        """The one that runs, with its child; the supervisor starts another."""
        for process in psutil.Process(self.launcher.session()).children():
            with contextlib.suppress(psutil.Error):
                if "triggerer" in " ".join(process.cmdline()):
                    for each in (process, *process.children(recursive=True)):
                        each.kill()

    def kill_running_task(self, dag_id: str) -> bool:
        """Kill the process of a running task of that Dag; False if there is none just now."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/~/taskInstances"
        for task in self.client.request("GET", path, params={"state": "running"}).json()["task_instances"]:
            if task["pid"] is None:  # psutil would take it for this process
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(task["pid"])
                if process.status() != psutil.STATUS_ZOMBIE:
                    process.kill()
                    return True
        return False

    def tell_the_queue(self) -> None:
        """From now on the bucket sends a message for each new object."""
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        told = {"QueueArn": answer["Attributes"]["QueueArn"], "Events": ["s3:ObjectCreated:*"]}
        self.s3.put_bucket_notification_configuration(
            Bucket="media", NotificationConfiguration={"QueueConfigurations": [told]}
        )

    def count(self) -> int:
        return int(self.client.request("GET", RUNS, params={"limit": 1}).json()["total_entries"])

    def upload(self, key: str, path: Path) -> None:
        self.s3.upload_file(str(path), "media", key)

    def runs(self) -> dict[str, dict[str, Any]]:
        """Every run of the product, by its source."""
        return {run["conf"]["source"]: run for run in self.client.pages(RUNS, "dag_runs")}

    def begin_by_hand(self, **conf: Any) -> str:
        body = {"logical_date": None, "conf": conf}
        return str(self.client.request("POST", "/api/v2/dags/on_upload/dagRuns", json=body).json()["dag_run_id"])

    def is_taking(self) -> bool:
        params = {"state": ["queued", "running"], "limit": 1}
        return bool(self.client.request("GET", "/api/v2/dags/on_upload/dagRuns", params=params).json()["dag_runs"])

    def run_by_hand(self, **conf: Any) -> dict[str, Any]:
        """Start `on_upload`, wait for its end, and give the results of its tasks."""
        path = f"/api/v2/dags/on_upload/dagRuns/{self.begin_by_hand(**conf)}"
        while (now := self.client.request("GET", path).json()["state"]) in ("queued", "running"):
            time.sleep(0.3)
        assert now == "success"
        values = f"{path}/taskInstances/{{}}/xcomEntries/return_value"
        tasks = ("accept", "retry", "list_failures")
        return {task: self.client.request("GET", values.format(task)).json()["value"] for task in tasks}

    def messages(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
        return sum(int(count) for count in answer["Attributes"].values())


def until(condition: Any, timeout_s: float = 600) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("arrivals")
    server = ThreadedMotoServer(port=0)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    httpx.post(f"{endpoint}/moto-api/reset").raise_for_status()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    named = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    s3, sqs = (boto3.client(name, endpoint_url=endpoint, **named) for name in ("s3", "sqs"))
    queue = sqs.create_queue(QueueName="uploads")["QueueUrl"]
    s3.create_bucket(Bucket="media")
    (folder / "arrivals.yaml").write_text(RULES.format(queue=queue))
    launcher = Launcher(folder)
    launcher.env |= keys | {"SR_S3_ENDPOINT_URL": endpoint, "SR_ARRIVALS_FILE": str(folder / "arrivals.yaml")}
    launcher.env |= {"SR_STATE_DIR": str(folder / "state")}
    try:
        up = launcher.run("up")
        assert up.returncode == 0, up.stderr
        yield Deployment(launcher, s3, sqs, queue)
    finally:
        launcher.run("down")
        server.stop()


def test_what_was_there_before_anybody_listened_is_found_by_the_listing_and_failures_run_again(
    deployment: Deployment, tmp_path: Path
) -> None:
    good = clips.make(tmp_path / "good.mp4", frames=5)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no film at all")
    deployment.upload("in/show/good.mp4", good)
    deployment.upload("in/show/bad.mp4", bad)
    assert deployment.run_by_hand()["accept"]["accepted"] == 2
    until(lambda: {run["state"] for run in deployment.runs().values()} == {"success", "failed"})
    assert deployment.s3.head_object(Bucket="media", Key="out/show/good_x2.mp4")["ContentLength"] > 0
    failed = deployment.runs()["s3://media/in/show/bad.mp4"]
    again = deployment.run_by_hand(retry="s3://media/in/show/")
    assert again["accept"] == {
        "from": "listing", "accepted": 0, "known": 2, "settling": 0, "left": 0, "refused": {}
    }  # fmt: skip
    assert [row["job_id"] for row in again["retry"]] == [failed["dag_run_id"]]
    until(lambda: deployment.runs()["s3://media/in/show/bad.mp4"]["state"] == "failed")
    assert [row["job_id"] for row in deployment.run_by_hand()["list_failures"]] == [failed["dag_run_id"]]
    assert len(deployment.runs()) == 2


def test_an_upload_is_accepted_by_its_event_and_its_message_is_given_up_after_that(
    deployment: Deployment, tmp_path: Path
) -> None:
    deployment.tell_the_queue()
    before = len(deployment.runs())
    for number in range(3):
        deployment.upload(f"in/new {number}.mp4", clips.make(tmp_path / f"{number}.mp4", frames=4 + number))
    until(lambda: len(deployment.runs()) == before + 3)
    until(lambda: deployment.messages() == 0)
    assert deployment.run_by_hand()["accept"]["accepted"] == 0, "the listing knows them"
    until(lambda: all(run["state"] in ("success", "failed") for run in deployment.runs().values()))
    keys = {row["Key"] for row in deployment.s3.list_objects_v2(Bucket="media", Prefix="out/new")["Contents"]}
    assert {f"out/new {number}_x2.mp4" for number in range(3)} <= keys


def killed_while_taking(deployment: Deployment) -> bool:
    """Whether a task of `on_upload` was killed; where all that came is taken already, another run is begun to kill."""
    if deployment.kill_running_task("on_upload"):
        return True
    if not deployment.is_taking():
        deployment.begin_by_hand()
    return False


def test_many_at_once_are_one_job_each_though_listener_and_task_are_killed(deployment: Deployment) -> None:
    """Jobs are only accepted here, not worked on: the Dag of the product is paused. Hundreds, with a scheduler that is
    killed, are tests/cluster's to try."""
    count = 100
    deployment.client.request("PATCH", "/api/v2/dags/upscale_video", json={"is_paused": True})
    deployment.tell_the_queue()
    until(lambda: deployment.messages() == 0)
    before = set(deployment.runs())
    for number in range(count):
        deployment.s3.put_object(Bucket="media", Key=f"in/many/{number:03}.mp4", Body=b"film")
    until(lambda: deployment.count() > len(before) + 10)
    until(lambda: killed_while_taking(deployment))
    deployment.kill_triggerer()
    deployment.run_by_hand()  # the listing finds what the killed listener had heard of
    wanted = {f"s3://media/in/many/{number:03}.mp4" for number in range(count)}
    assert set(deployment.runs()) - before == wanted
    assert deployment.run_by_hand()["accept"]["accepted"] == 0
    assert deployment.count() == len(before) + count
