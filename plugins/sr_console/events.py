"""A job as it changes, as server-sent events. However many watch it, Airflow is asked once a second, by the first of
them. Holds nothing once the last has left."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool

from sr_console.problems import Refused
from sr_tasks.errors import SrError
from sr_tasks.jobs.api import JobDetail
from sr_tasks.jobs.status import Status

log = logging.getLogger(__name__)

MAX_WATCHERS: Final = 500
"""Of one process. Each holds a connection open."""
POLL_S: Final = 1.0
_SILENCE_S = 15.0
"""After that a comment is sent, so that no proxy takes the connection for dead."""
_LONGEST_S = 3600.0
"""Then the connection ends, and the browser opens another by itself: a login does not last for ever."""
_ENDED = frozenset({Status.COMPLETED, Status.FAILED})

Look = Callable[[], JobDetail]
"""Shows the job now. Blocks. Raises Refused once it is deleted."""


class Watches:
    """The jobs that are watched, one poller each."""

    def __init__(self) -> None:
        self._by_job: dict[str, _Watch] = {}

    def require_room(self) -> None:
        """Raises Refused (429) if too many watch already."""
        if sum(watch.watchers for watch in self._by_job.values()) >= MAX_WATCHERS:
            raise Refused(
                429, "TOO_MANY_WATCHERS", f"{MAX_WATCHERS} connections watch jobs already.", "Ask for the job itself."
            )

    async def events(self, job_id: str, look: Look) -> AsyncIterator[bytes]:
        """The events of a job until it has ended or is gone."""
        watch = self._by_job.get(job_id)
        if watch is None:
            watch = self._by_job[job_id] = _Watch(look)
        watch.watchers += 1
        try:
            yield b"retry: 3000\n\n"
            async for event in watch.events():
                yield event
        finally:
            watch.watchers -= 1
            if not watch.watchers and self._by_job.get(job_id) is watch:
                del self._by_job[job_id]
                watch.stop()


class _Watch:
    """Polls one job for as long as somebody watches."""

    def __init__(self, look: Look) -> None:
        self.watchers = 0
        self.is_over = False
        self._look = look
        self._number, self._event = 0, b""
        self._changed = asyncio.Condition()
        self._poller = asyncio.create_task(self._poll())

    def stop(self) -> None:
        self._poller.cancel()

    async def events(self) -> AsyncIterator[bytes]:
        """What changes from now on, the present state first. Who is slow misses what was there in between."""
        seen, end = 0, asyncio.get_running_loop().time() + _LONGEST_S
        while asyncio.get_running_loop().time() < end:
            if not await self._newer_than(seen):
                yield b": still here\n\n"
                continue
            seen = self._number
            yield self._event
            if self.is_over and seen == self._number:
                return

    async def _newer_than(self, number: int) -> bool:
        """Waits until there is an event past `number`. False if none came in a while."""
        async with self._changed:
            try:
                async with asyncio.timeout(_SILENCE_S):
                    await self._changed.wait_for(lambda: self._number > number)
            except TimeoutError:
                return False
            return True

    async def _poll(self) -> None:
        shown = b""
        while not self.is_over:
            try:
                job = await run_in_threadpool(self._look)
            except Refused:
                await self._tell(_event("gone", "{}"), is_last=True)
                return
            except (SrError, OSError) as exc:
                log.warning("A job that is watched could not be looked at: %s", exc)
            else:
                now = _event("job", job.model_dump_json())
                if now != shown:
                    shown = now
                    await self._tell(now, is_last=job.status in _ENDED)
            await asyncio.sleep(POLL_S)

    async def _tell(self, event: bytes, *, is_last: bool) -> None:
        async with self._changed:
            self._number, self._event, self.is_over = self._number + 1, event, is_last
            self._changed.notify_all()


def _event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()
