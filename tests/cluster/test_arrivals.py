"""Work that nobody starts by hand, on a cluster: messages, and the night over the archive."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from tests import clips
from tests.cluster.stack import Cluster, until

pytestmark = pytest.mark.cluster

REQUEST = json.dumps({"source": "s3://videos/told.mp4", "output": "s3://enhanced/told.mp4", "model": "bicubic"})


def send(cluster: Cluster, body: str, message_id: str) -> None:
    async def publish() -> None:
        async with await aio_pika.connect(cluster.secret("SR_AMQP_URL")) as connection:
            channel = await connection.channel()
            await channel.declare_queue("sr.jobs", durable=True)  # a broker drops what is sent to a queue not yet made
            message = aio_pika.Message(body.encode(), message_id=message_id)
            await channel.default_exchange.publish(message, routing_key="sr.jobs")

    asyncio.run(publish())


def dead_letter(cluster: Cluster) -> AbstractIncomingMessage | None:
    async def receive() -> AbstractIncomingMessage | None:
        async with await aio_pika.connect(cluster.secret("SR_AMQP_URL")) as connection:
            queue = await (await connection.channel()).get_queue("sr.jobs.dead", ensure=True)
            return await queue.get(no_ack=True, fail=False)

    return asyncio.run(receive())


def waiting_messages(cluster: Cluster) -> int:
    async def ask() -> int:
        async with await aio_pika.connect(cluster.secret("SR_AMQP_URL")) as connection:
            queue = await (await connection.channel()).declare_queue("sr.jobs", passive=True)
            return int(queue.declaration_result.message_count or 0)

    return asyncio.run(ask())


def runs_of(cluster: Cluster, source: str) -> list[dict[str, Any]]:
    runs = cluster.client.pages("/api/v2/dags/upscale_video/dagRuns", "dag_runs")
    return [run for run in runs if run["conf"]["source"] == source]


def events_taken(cluster: Cluster) -> int:
    runs = cluster.ask("GET", "dags/on_message/dagRuns", params={"state": ["success"], "limit": 1})
    return int(runs["total_entries"])


def test_a_message_is_one_job_the_same_again_is_none_and_nonsense_is_put_aside_with_the_reason(
    cluster: Cluster, tmp_path: Path
) -> None:
    film = clips.make(tmp_path / "told.mp4", frames=5)
    cluster.aws("s3").upload_file(str(film), "videos", "told.mp4")
    send(cluster, REQUEST, "order 1")
    until(lambda: runs_of(cluster, "s3://videos/told.mp4"), "the message becomes a job")
    taken = until(lambda: events_taken(cluster), "the message was taken")
    send(cluster, REQUEST, "order 1")
    send(cluster, "no request", "order 2")
    aside = until(lambda: dead_letter(cluster), "nonsense is put aside")
    assert (aside.body, aside.message_id) == (b"no request", "order 2")
    assert aside.headers["x-sr-code"] == "INPUT_INVALID"
    assert "no JSON" in str(aside.headers["x-sr-reason"])
    until(lambda: events_taken(cluster) > taken, "the same message was taken once more")
    (run,) = runs_of(cluster, "s3://videos/told.mp4")
    until(lambda: cluster.client.run_state(run["dag_run_id"]) == "success", "the job completes")
    assert waiting_messages(cluster) == 0
    assert dead_letter(cluster) is None


def night(cluster: Cluster) -> dict[str, Any]:
    """Run the Dag of the night, and give its report."""
    run = cluster.ask("POST", "dags/nightly_archive/dagRuns", json={"logical_date": None})["dag_run_id"]
    path = f"dags/nightly_archive/dagRuns/{run}"
    until(lambda: cluster.ask("GET", path)["state"] in ("success", "failed"), "the night is over")
    assert cluster.ask("GET", path)["state"] == "success"
    return dict(cluster.ask("GET", f"{path}/taskInstances/report/xcomEntries/return_value")["value"])


def test_a_night_enhances_what_has_no_output_and_the_next_one_finds_nothing_to_do(
    cluster: Cluster, tmp_path: Path
) -> None:
    s3 = cluster.aws("s3")
    for name in ("one", "two"):
        film = clips.make(tmp_path / f"{name}.mp4", frames=4, width=160 if name == "one" else 96)
        s3.upload_file(str(film), "videos", f"archive/old/{name}.mp4")
    first = night(cluster)
    for name, width in (("one", 320), ("two", 192)):
        s3.download_file("enhanced", f"archive/old/{name}_x2.mp4", str(tmp_path / "out.mp4"))
        assert clips.luma(tmp_path / "out.mp4", 3).shape[1] == width
    written = {row["Key"]: row["LastModified"] for row in s3.list_objects_v2(Bucket="enhanced")["Contents"]}
    jobs = cluster.client.pages("/api/v2/dags/upscale_video/dagRuns", "dag_runs")
    begun = sorted(run["dag_run_id"] for run in jobs)
    second = night(cluster)
    assert (first["completed"], second["completed"]) == (2, 0), (first, second)
    jobs = cluster.client.pages("/api/v2/dags/upscale_video/dagRuns", "dag_runs")
    assert sorted(run["dag_run_id"] for run in jobs) == begun
    assert {row["Key"]: row["LastModified"] for row in s3.list_objects_v2(Bucket="enhanced")["Contents"]} == written
