"""Jobs from a real RabbitMQ: acknowledged once accepted, dead letters with a reason, nothing lost or twice."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.exceptions import ChannelNotFoundEntity
from sr_airflow.arrivals import held, messages
from sr_airflow.arrivals.messages import MessagesTrigger

from tests.dags import rabbitmq

NEEDED = pytest.mark.skipif(not rabbitmq.is_installed(), reason="RabbitMQ is not installed")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rabbitmq.running(tmp_path_factory.mktemp("rabbitmq")) as url:
        yield url


class Airflow:
    """Stands in for the runs that Airflow has."""

    def __init__(self) -> None:
        self.runs: set[str] = set()

    def accepted(self, job_ids: list[str]) -> int:
        return len(self.runs & set(job_ids))


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    fake = Airflow()
    monkeypatch.setattr(held, "accepted", fake.accepted)
    monkeypatch.setattr(held, "POLL_S", 0.05)
    return fake


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of the messages that were acknowledged, as soon as they are."""
    bodies: list[bytes] = []
    acknowledge = aio_pika.message.IncomingMessage.ack

    async def noted(message: aio_pika.message.IncomingMessage, multiple: bool = False) -> None:
        await acknowledge(message, multiple)
        bodies.append(message.body)

    monkeypatch.setattr(aio_pika.message.IncomingMessage, "ack", noted)
    return bodies


@pytest.fixture
def queue(broker: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    monkeypatch.setenv("SR_AMQP_URL", broker)
    monkeypatch.setenv("SR_AMQP_QUEUE", request.node.name)
    return str(request.node.name)


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[list[dict[str, Any]]]:
    """Run the trigger, and give the jobs it tells of as they come."""
    told: list[dict[str, Any]] = []

    async def listen() -> None:
        async for event in MessagesTrigger().run():
            told.extend(event.payload["jobs"])

    task = asyncio.create_task(listen())
    try:
        yield told
    finally:
        if task.done():
            task.result()  # what broke the trigger
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Any) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.05)


async def send(channel: Any, queue: str, *bodies: bytes, **more: Any) -> None:
    await channel.declare_queue(queue, durable=True)
    for body in bodies:
        await channel.default_exchange.publish(aio_pika.Message(body, **more), routing_key=queue)


async def left(connection: Any, queue: str) -> int:
    async with connection.channel() as channel:
        return int((await channel.declare_queue(queue, passive=True)).declaration_result.message_count)


async def until_left(count: int, connection: Any, queue: str) -> None:
    """The broker puts back what a listener held once it has noticed that it is gone."""
    async with asyncio.timeout(120):
        while await left(connection, queue) != count:
            await asyncio.sleep(0.05)


async def listeners(connection: Any, queue: str) -> int:
    channel = await connection.channel()
    try:
        return int((await channel.declare_queue(queue, passive=True)).declaration_result.consumer_count)
    except ChannelNotFoundEntity:
        return 0


def job(number: int) -> bytes:
    return json.dumps({"source": f"s3://media/{number}.mp4", "scale": 4}).encode()


@NEEDED
def test_a_message_is_given_up_only_when_its_job_is_accepted(
    queue: str, broker: str, airflow: Airflow, given_up: list[bytes]
) -> None:
    async def story() -> None:
        async with await aio_pika.connect(broker) as connection:
            await send(await connection.channel(), queue, job(1), job(2))
            async with listening() as told:
                await until(lambda: len(told) == 2)
                assert given_up == [], "not before its job is accepted"
                airflow.runs.add(told[0]["job_id"])
                await until(lambda: len(given_up) == 1)
            assert told[0]["conf"] == {"source": "s3://media/1.mp4", "scale": 4}
            async with listening() as again:
                await until(lambda: again)
                assert [row["job_id"] for row in again] == [told[1]["job_id"]], "only what was not accepted comes again"
                airflow.runs.add(told[1]["job_id"])
                await until(lambda: len(given_up) == 2)
            assert given_up == [job(1), job(2)]
            assert await left(connection, queue) == 0

    asyncio.run(story())


@NEEDED
def test_what_is_no_job_goes_to_the_dead_letters_with_the_reason(
    queue: str, broker: str, airflow: Airflow, given_up: list[bytes]
) -> None:
    async def story() -> None:
        async with await aio_pika.connect(broker) as connection:
            channel = await connection.channel()
            await send(channel, queue, b"nonsense", job(1), b'{"source": "a.mp4", "scale": 5}', headers={"from": "ann"})
            async with listening() as told:
                await until(lambda: told and len(given_up) == 2)
            assert [row["conf"]["source"] for row in told] == ["s3://media/1.mp4"]
            dead = await channel.get_queue(messages.dead_letters(queue), ensure=False)
            first, second = await dead.get(no_ack=True), await dead.get(no_ack=True)
            assert (first.body, first.headers[messages.CODE_HEADER]) == (b"nonsense", "INPUT_INVALID")
            assert "scale=5" in str(second.headers[messages.REASON_HEADER])
            assert second.headers["from"] == "ann"
            await until_left(1, connection, queue)  # the job that was not accepted is there again

    asyncio.run(story())


@NEEDED
def test_the_same_message_twice_is_one_job(queue: str, broker: str, airflow: Airflow, given_up: list[bytes]) -> None:
    async def story() -> None:
        async with await aio_pika.connect(broker) as connection:
            await send(await connection.channel(), queue, job(1), job(1), message_id="order-7")
            async with listening() as told:
                await until(lambda: len(told) == 2)
                airflow.runs.add(told[0]["job_id"])
                await until(lambda: len(given_up) == 2)
            assert told[0]["job_id"] == told[1]["job_id"]
            assert await left(connection, queue) == 0

    asyncio.run(story())


@NEEDED
def test_a_message_whose_job_is_never_accepted_is_given_back(
    queue: str, broker: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PATIENCE_S", 0.2)

    async def story() -> None:
        async with await aio_pika.connect(broker) as connection:
            await send(await connection.channel(), queue, job(1))
            async with listening() as told:
                await until(lambda: len(told) > 1)
            assert len({row["job_id"] for row in told}) == 1

    asyncio.run(story())


@NEEDED
def test_a_broken_connection_is_made_again(
    queue: str, broker: str, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PAUSE_S", 0.1)
    connect, opened = aio_pika.connect, []

    async def noted(*arguments: Any, **named: Any) -> Any:
        opened.append(await connect(*arguments, **named))
        return opened[-1]

    monkeypatch.setattr(messages.aio_pika, "connect", noted)

    async def story() -> None:
        async with listening() as told, await connect(broker) as connection:
            async with asyncio.timeout(120):
                while not (opened and await listeners(connection, queue)):
                    await asyncio.sleep(0.05)
            await opened[0].close(ConnectionError("as if the line broke"))
            await send(await connection.channel(), queue, job(1))
            await until(lambda: told)
        assert len(opened) == 2

    asyncio.run(story())


def test_the_dag_listens_only_where_a_broker_is_named_and_stores_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    import on_message

    assert on_message.on_message().schedule is None
    assert MessagesTrigger().serialize() == ("sr_airflow.arrivals.messages.MessagesTrigger", {})


@pytest.fixture
def on_message_dag() -> Any:
    import on_message

    return on_message.on_message()


def test_the_dag_says_what_it_is_and_runs_one_at_a_time(on_message_dag: Any, tmp_path: Path) -> None:
    assert [task.task_id for task in on_message_dag.tasks] == ["accept"]
    assert on_message_dag.doc_md
    assert "arrivals" in on_message_dag.tags
    assert on_message_dag.owner == "sr"
    assert on_message_dag.max_active_runs == 1
    assert on_message_dag.get_task("accept").retries == 3
