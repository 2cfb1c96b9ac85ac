"""The trigger behind `on_upload`: tells of new objects, and deletes a notification once its jobs are accepted.

At least once: a notification whose jobs Airflow does not have is never deleted here, so it comes again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from sr_airflow.arrivals.held import HeldMessages
from sr_tasks.arrivals import rules
from sr_tasks.arrivals.announced import announced
from sr_tasks.arrivals.files import Arrived
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.telemetry.redaction import redacted

if TYPE_CHECKING:
    from sr_tasks.arrivals.sqs import Queue, Received
    from sr_tasks.storage.s3 import ObjectStore

log = logging.getLogger(__name__)

WAIT_S = 10
_MAX_BATCH = 100
PAUSE_S = 5.0


class UploadsTrigger(BaseEventTrigger):
    """Listens to one SQS queue. Its events are `{"objects": [...]}`, the fields of `Arrived`."""

    def __init__(self, queue: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.queue = queue

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"queue": self.queue}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from sr_tasks.arrivals.sqs import HIDDEN_S, Queue
        from sr_tasks.storage.s3 import ObjectStore

        settings = Settings.from_env()
        # Connections are made once: it takes a moment, in which no other trigger would run.
        queue = await asyncio.to_thread(Queue, self.queue)
        store = await asyncio.to_thread(ObjectStore, settings)
        held: HeldMessages[str] = HeldMessages(HIDDEN_S)
        while True:
            try:
                found = await asyncio.to_thread(_receive, queue, store, settings, 1 if held else WAIT_S)
                for message, arrived in found:
                    if arrived:
                        held.hold(message.receipt, frozenset(one.job_id for one in arrived))
                    elif arrived is not None:
                        await asyncio.to_thread(queue.delete, message.receipt)
                if objects := [asdict(one) for _, arrived in found for one in arrived or ()]:
                    yield TriggerEvent({"objects": objects})  # type: ignore[no-untyped-call]
                done, _ = await held.released()
                for receipt in done:
                    await asyncio.to_thread(queue.delete, receipt)
            except SrError as exc:
                log.warning("%s: %s", exc.code, redacted(str(exc)))
                await asyncio.sleep(PAUSE_S)


def _receive(
    queue: "Queue", store: "ObjectStore", settings: Settings, wait_s: int
) -> "list[tuple[Received, list[Arrived] | None]]":
    """Messages with the files they speak of: as many as are there, up to a hundred."""
    wanted = rules.load(settings)
    messages = queue.receive(wait_s)
    while messages and len(messages) < _MAX_BATCH and (more := queue.receive(0)):
        messages += more
    return [(message, announced(message.body, wanted, store, settings)) for message in messages]
