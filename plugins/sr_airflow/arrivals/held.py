"""Messages that a trigger has passed on and holds until Airflow has accepted their jobs. Talks to Airflow, to no queue.

A queue gives a message again if it is not confirmed. A message that is confirmed too early is lost when Airflow stops
before the job exists. So a message is handed back as done only once Airflow has accepted all of its jobs, and as
late if that takes too long.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from sr_airflow.arrivals.inbox import accepted

Handle = TypeVar("Handle")
POLL_S = 1.0
_GROUP = 100
"""Messages that are asked for at once: the question travels in a URL."""


@dataclass(frozen=True, kw_only=True)
class _Held(Generic[Handle]):
    handle: Handle
    job_ids: frozenset[str]
    since_s: float


class HeldMessages(Generic[Handle]):
    """Which messages wait, and for which jobs. For one event loop."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._held: list[_Held[Handle]] = []
        self._asked_s = 0.0

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, handle: Handle, job_ids: frozenset[str]) -> None:
        self._held.append(_Held(handle=handle, job_ids=job_ids, since_s=time.monotonic()))

    async def released(self) -> tuple[list[Handle], list[Handle]]:
        """Messages whose jobs are all accepted, and those that waited too long. Asks once a second at most."""
        if not self._held or time.monotonic() - self._asked_s < POLL_S:
            return [], []
        self._asked_s = time.monotonic()
        groups = [self._held[start : start + _GROUP] for start in range(0, len(self._held), _GROUP)]
        done = [held for group in groups async for held in self._accepted(group)]
        gone = {id(held) for held in done}
        left = [held for held in self._held if id(held) not in gone]
        late = [held for held in left if self._is_late(held)]
        gone |= {id(held) for held in late}
        self._held = [held for held in left if id(held) not in gone]
        return [held.handle for held in done], [held.handle for held in late]

    def _is_late(self, held: _Held[Handle]) -> bool:
        return time.monotonic() - held.since_s > self._patience_s

    async def _accepted(self, group: list[_Held[Handle]]) -> AsyncIterator[_Held[Handle]]:
        """One question for the whole group, then for its halves where not all are accepted."""
        wanted = sorted({job_id for held in group for job_id in held.job_ids})
        count = await asyncio.to_thread(accepted, wanted) if wanted else 0
        if count == len(wanted):
            for held in group:
                yield held
        elif count and len(group) > 1:
            half = len(group) // 2
            for part in (group[:half], group[half:]):
                async for held in self._accepted(part):
                    yield held
