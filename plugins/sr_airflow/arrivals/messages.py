"""The trigger behind `on_message`: takes jobs from RabbitMQ, and acknowledges one once Airflow has it.

What is no job goes to the dead-letter queue with the reason. Whatever dies, the broker gives the message out again.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sr_airflow.arrivals.held import HeldMessages
from sr_tasks.arrivals.jobs import Job
from sr_tasks.arrivals.messages import job_of_message
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.telemetry.redaction import redacted

log = logging.getLogger(__name__)

CODE_HEADER, REASON_HEADER = "x-sr-code", "x-sr-reason"
_AT_ONCE = 100
PAUSE_S = 5.0
PATIENCE_S = 60.0
_BROKEN = (AMQPError, OSError, TimeoutError)

Inflow = asyncio.Queue[AbstractIncomingMessage]


class MessagesTrigger(BaseEventTrigger):
    """Listens to the queue of SR_AMQP_URL. Its events are `{"jobs": [...]}`, the fields of `Job`.

    The address is read here and nowhere stored, as it holds a password.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        settings = Settings.from_env()
        while True:
            try:
                connection = await aio_pika.connect(settings.amqp_url, timeout=10)
                async with connection:
                    async for event in _events(connection, settings.amqp_queue):
                        yield event
            except _BROKEN as exc:
                log.warning("RabbitMQ is tried again in %s s: %s: %s", PAUSE_S, type(exc).__name__, redacted(str(exc)))
            except SrError as exc:
                log.warning("%s: %s", exc.code, redacted(str(exc)))
            await asyncio.sleep(PAUSE_S)


async def _events(connection: AbstractConnection, name: str) -> AsyncIterator[TriggerEvent]:
    """Runs until the connection breaks, which the broker takes for a refusal of all that was not acknowledged."""
    for wanted in (name, dead_letters(name)):
        await _make(connection, wanted)
    channel = await connection.channel()
    queue = await channel.get_queue(name, ensure=False)
    await channel.set_qos(prefetch_count=_AT_ONCE)
    inflow: Inflow = asyncio.Queue()
    held: HeldMessages[AbstractIncomingMessage] = HeldMessages(PATIENCE_S)
    await queue.consume(inflow.put)
    while not channel.is_closed:
        jobs = []
        for message in await _next(inflow):
            job = await _job(message, channel, dead_letters(name))
            if job is not None:
                held.hold(message, frozenset({job.job_id}))
                jobs.append(asdict(job))
        if jobs:
            yield TriggerEvent({"jobs": jobs})  # type: ignore[no-untyped-call]
        done, late = await held.released()
        for message in done:
            await message.ack()
        for message in late:
            await message.nack(requeue=True)
    raise ConnectionError("the channel was closed")


def dead_letters(name: str) -> str:
    return f"{name}.dead"


async def _next(inflow: Inflow) -> list[AbstractIncomingMessage]:
    """What has come in, waiting up to half a second for the first."""
    try:
        messages = [await asyncio.wait_for(inflow.get(), 0.5)]
    except TimeoutError:
        return []
    while not inflow.empty():
        messages.append(inflow.get_nowait())
    return messages


async def _job(message: AbstractIncomingMessage, channel: AbstractChannel, dead: str) -> Job | None:
    """The job of a message, or None for one that was moved to the dead letters."""
    try:
        return job_of_message(message.body, message.message_id)
    except SrError as exc:
        log.warning("A message is no job. %s: %s", exc.code, redacted(str(exc)))
        reason = {CODE_HEADER: exc.code, REASON_HEADER: redacted(str(exc))[:1000]}
        copy = aio_pika.Message(
            message.body,
            headers={**message.headers, **reason},
            message_id=message.message_id,
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        # The broker confirms this before the original is given up: killed in between, the message is there twice.
        await channel.default_exchange.publish(copy, routing_key=dead)
        await message.ack()
        await asyncio.to_thread(_tell, message, exc, dead)
        return None


def _tell(message: AbstractIncomingMessage, reason: SrError, dead: str) -> None:
    from sr_airflow.alerts.dags import put_aside

    name = message.message_id or f"without an id, {hashlib.sha256(message.body).hexdigest()[:12]}"
    put_aside("on_message", f"message {name}", reason.code, reason.message, f"{reason.hint} It lies in {dead}.".strip())


async def _make(connection: AbstractConnection, name: str) -> None:
    """Declare a durable queue, unless somebody has declared one, however it is made."""
    try:
        async with connection.channel() as channel:
            await channel.declare_queue(name, passive=True)
    except ChannelNotFoundEntity:
        async with connection.channel() as channel:
            await channel.declare_queue(name, durable=True)
