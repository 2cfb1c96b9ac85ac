"""Taking what arrived: from a listing or from events, by the same path, into an inbox that Airflow stands behind."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from loguru import logger

from sr_tasks.arrivals import rules as rules_of
from sr_tasks.arrivals.files import Arrived, is_inside, listed
from sr_tasks.arrivals.jobs import Job, job_of, watch_of
from sr_tasks.arrivals.ledger import Ledger
from sr_tasks.arrivals.rules import Rules, Watch
from sr_tasks.config import Settings
from sr_tasks.errors import SrError, UsageError
from sr_tasks.telemetry.redaction import redacted

BATCH = 50
"""Jobs between two looks at how many wait, and two writes of the ledger."""

SHOWN = 100
"""Names a summary holds of each kind; the log has all."""

_PROBED = 100


class Inbox(Protocol):
    """Where jobs are accepted. Durable: what `submit` answered for is there after any crash."""

    def waiting(self) -> int:
        """Jobs that wait or run."""
        ...

    def submit(self, job: Job) -> bool:
        """True for a new job, False for one that was accepted before. Raises UsageError for what is no job."""
        ...

    def failed(self, job_ids: list[str]) -> int:
        """How many of these jobs have failed."""
        ...

    def completed(self, job_ids: list[str]) -> int:
        """How many of these jobs have completed."""
        ...

    def retry(self, job_id: str) -> None:
        """Have a failed job run again."""
        ...


@dataclass(kw_only=True)
class Taken:
    """What one run did."""

    accepted: list[str] = field(default_factory=list)
    known: int = 0
    settling: int = 0
    left: int = 0
    """Left for a later listing, or for the broker to offer again, because too many wait."""
    refused: dict[str, str] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        return {
            "accepted": len(self.accepted),
            "known": self.known,
            "settling": self.settling,
            "left": self.left,
            "refused": dict(islice(self.refused.items(), SHOWN)),
        }


def take(announced: Iterable[Mapping[str, Any]] | None, inbox: Inbox, settings: Settings) -> dict[str, Any]:
    """Take what events told of, as the fields of Arrived, or where there were none, what a listing finds."""
    rules = rules_of.load(settings)
    if announced is None:
        return {"from": "listing", **take_listed(rules, inbox, settings).summary()}
    found = [Arrived(**row) for row in announced]
    return {"from": "events", **take_announced(found, rules, inbox, settings).summary()}


def take_jobs(rows: Iterable[Mapping[str, Any]] | None, inbox: Inbox, settings: Settings) -> Taken:
    """Submit jobs as messages asked for them, given as the fields of Job, as far as there is room."""
    taken, max_waiting = Taken(), rules_of.load(settings).max_waiting
    offered = iter(rows or ())
    while batch := list(islice(offered, BATCH)):
        room = max(0, max_waiting - inbox.waiting())
        for row in batch[:room]:
            submit(Job(**row), inbox, taken)
        taken.left += len(batch[room:])
    return taken


def take_listed(rules: Rules, inbox: Inbox, settings: Settings) -> Taken:
    """List every watched prefix and submit what is new and written to the end. Raises what `files.listed` raises."""
    taken = Taken()
    for watch in rules.uploads:
        ledger = Ledger(watch.prefix, settings)
        present: set[str] = set()
        _submit(_new(watch, rules, ledger, present, taken, settings), ledger, rules, inbox, taken)
        ledger.keep_only(present)
    return taken


def take_announced(found: Iterable[Arrived], rules: Rules, inbox: Inbox, settings: Settings) -> Taken:
    """Submit what events told of."""
    taken = Taken()
    by_watch: dict[str, list[tuple[Arrived, Watch]]] = {}
    for arrived in found:
        if watch := watch_of(arrived, rules.uploads):
            by_watch.setdefault(watch.prefix, []).append((arrived, watch))
    for prefix, group in by_watch.items():
        ledger = Ledger(prefix, settings)
        jobs = _possible((pair for pair in group if not _is_known(pair[0], ledger, taken)), taken, settings)
        _submit(jobs, ledger, rules, inbox, taken)
    return taken


def failures(inbox: Inbox, settings: Settings) -> list[dict[str, str]]:
    """Files below the watched prefixes whose job failed, as rows of `source` and `job_id`: the first hundred."""
    rules = rules_of.load(settings)
    rows = [row for watch in rules.uploads for row in _failed_below(watch.prefix, rules, inbox, settings)]
    for row in rows:
        logger.warning("Failed: {source} as {job_id}", **row)
    return rows[:SHOWN]


def retry(prefix: str, inbox: Inbox, settings: Settings) -> list[dict[str, str]]:
    """Run the failed jobs of all files below a prefix again; returns the first hundred.

    Raises UsageError for a prefix under no watched one, and what `files.listed` raises.
    """
    rules = rules_of.load(settings)
    if not any(is_inside(prefix, watch.prefix) for watch in rules.uploads) or not prefix.endswith("/"):
        watched = ", ".join(watch.prefix for watch in rules.uploads)
        raise UsageError(f"{prefix!r} is no prefix below a watched one.", hint=f"Ending with a slash, below {watched}.")
    rows = _failed_below(prefix, rules, inbox, settings)
    for row in rows:
        logger.info("Again: {source} as {job_id}", **row)
        inbox.retry(row["job_id"])
    return rows[:SHOWN]


def _failed_below(prefix: str, rules: Rules, inbox: Inbox, settings: Settings) -> list[dict[str, str]]:
    sources = {found.job_id: found.uri for found in listed(prefix, settings) if watch_of(found, rules.uploads)}
    return [{"source": sources[job_id], "job_id": job_id} for job_id in failed_among(list(sources), inbox)]


def failed_among(job_ids: list[str], inbox: Inbox) -> list[str]:
    """The failed ones, found by counts alone: as Airflow tells a task no more of many runs at once."""
    if len(job_ids) > _PROBED:
        return [
            job_id
            for start in range(0, len(job_ids), _PROBED)
            for job_id in failed_among(job_ids[start : start + _PROBED], inbox)
        ]
    count = inbox.failed(job_ids) if job_ids else 0
    if count in (0, len(job_ids)):
        return job_ids if count else []
    half = len(job_ids) // 2
    return failed_among(job_ids[:half], inbox) + failed_among(job_ids[half:], inbox)


def _new(
    watch: Watch, rules: Rules, ledger: Ledger, present: set[str], taken: Taken, settings: Settings
) -> Iterator[Job]:
    settled_s = time.time() - watch.settle_s
    for arrived in listed(watch.prefix, settings):
        if watch_of(arrived, rules.uploads) is not watch:
            continue
        present.add(arrived.job_id)
        if arrived.modified_s > settled_s:
            taken.settling += 1
        elif not _is_known(arrived, ledger, taken):
            yield from _possible([(arrived, watch)], taken, settings)


def _is_known(arrived: Arrived, ledger: Ledger, taken: Taken) -> bool:
    if arrived.job_id in ledger:
        taken.known += 1
        return True
    return False


def _possible(pairs: Iterable[tuple[Arrived, Watch]], taken: Taken, settings: Settings) -> Iterator[Job]:
    for arrived, watch in pairs:
        try:
            yield job_of(arrived, watch, settings)
        except SrError as exc:
            logger.warning("{} is not taken: {}", arrived.uri, exc)
            taken.refused[arrived.uri] = redacted(str(exc))


def _submit(jobs: Iterator[Job], ledger: Ledger, rules: Rules, inbox: Inbox, taken: Taken) -> None:
    while batch := list(islice(jobs, BATCH)):
        room = max(0, rules.max_waiting - inbox.waiting())
        done = []
        try:
            for job in batch[:room]:
                if submit(job, inbox, taken):
                    done.append(job.job_id)
        finally:
            ledger.add(done)
        taken.left += len(batch[room:])


def submit(job: Job, inbox: Inbox, taken: Taken) -> bool:
    """Note what came of one job; False for one that Airflow refused, which must be asked for again."""
    try:
        is_new = inbox.submit(job)
    except UsageError as exc:
        logger.warning("{} is not taken: {}", job.conf["source"], exc)
        taken.refused[redacted(job.conf["source"])] = redacted(str(exc))
        return False
    if is_new:
        taken.accepted.append(job.job_id)
        logger.info("Accepted {} as {}", job.conf["source"], job.job_id)
    else:
        taken.known += 1
    return True
