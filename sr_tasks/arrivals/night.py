"""One night over the archives: what it may spend, what it has begun, and what it did. Survives any restart."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from loguru import logger
from pydantic import BaseModel

from sr_tasks.arrivals import rules as rules_of
from sr_tasks.arrivals.archive import Walk, Wanted, walk, work_s
from sr_tasks.arrivals.jobs import Job
from sr_tasks.arrivals.rules import Night
from sr_tasks.arrivals.taking import SHOWN, Inbox
from sr_tasks.config import Settings
from sr_tasks.errors import TransientError, UsageError
from sr_tasks.jobs.folder import JobFolder

State = Literal["running", "completed", "failed", "failed before", "refused"]
_MB = 1e6


class Begun(BaseModel):
    """One job of the night. `work_s` is the estimate until the manifest says more."""

    job_id: str
    source: str
    output: str
    reason: str
    work_s: float
    state: State = "running"


class Progress(BaseModel):
    """What is kept between two looks."""

    begun: list[Begun] = []
    at: int = 0
    """Files before this one were begun or left."""
    left: int = 0
    too_much: int = 0
    """Of those left: did not fit into what the budget still had."""
    closed_s: float | None = None
    """When the archive closes, in seconds since 1970."""

    def running(self) -> list[Begun]:
        return [one for one in self.begun if one.state == "running"]

    def spent_s(self) -> float:
        return sum(one.work_s for one in self.begun)


def choose(run_id: str, settings: Settings, now: datetime | None = None) -> dict[str, Any]:
    """Walk the archives and write down what the night is for."""
    rules, folder = rules_of.load(settings), JobFolder(settings.workdir, run_id)
    budget_s(rules.night, settings)
    found = walk(rules, settings)
    folder.store("walk", found)
    closes = closing(rules.night, now or datetime.now(UTC))
    folder.store("night", Progress(closed_s=closes.timestamp() if closes else None))
    return {"stale": found.stale, "up_to_date": found.up_to_date, "refused": found.refused}


def advance(run_id: str, inbox: Inbox, settings: Settings, now: datetime | None = None) -> bool:
    """See what has ended and begin what fits; True once nothing runs and nothing more fits.

    An outage ends no night: it is looked at again the next time.
    """
    try:
        return _advance(run_id, inbox, settings, now or datetime.now(UTC))
    except TransientError as exc:
        logger.warning("Looked at again later. {}", exc)
        return False


def _advance(run_id: str, inbox: Inbox, settings: Settings, now: datetime) -> bool:
    night, folder = rules_of.load(settings).night, JobFolder(settings.workdir, run_id)
    found, progress = folder.load("walk", Walk), folder.load("night", Progress)
    for one in progress.running():
        _see(one, inbox, settings)
    folder.store("night", progress)
    limit_s, now_s = budget_s(night, settings), now.timestamp()
    while progress.at < len(found.wanted) and len(progress.running()) < night.at_once:
        wanted = found.wanted[progress.at]
        estimate_s = wanted.size_bytes * rate(found, progress, night)
        if fits(estimate_s, progress, limit_s, now_s):
            progress.begun.append(_begin(wanted, estimate_s, inbox))
        else:
            progress.left += 1
            progress.too_much += 1
        progress.at += 1
        folder.store("night", progress)
    return not progress.running()


def report(run_id: str, settings: Settings) -> dict[str, Any]:
    """What was done and what is left; also in the run's folder as `report.json`, and in the log."""
    folder = JobFolder(settings.workdir, run_id)
    found, progress = folder.load("walk", Walk), folder.load("night", Progress)
    by_state = {state: [one for one in progress.begun if one.state == state] for state in get_args(State)}
    device_hours = round(sum(one.work_s for one in by_state["completed"]) / 3600, 4)
    result = {
        "completed": len(by_state["completed"]),
        "failed": [_row(one) for one in by_state["failed"] + by_state["failed before"]][:SHOWN],
        "refused": [_row(one) for one in by_state["refused"]][:SHOWN],
        "left": found.stale - len(progress.begun),
        "left_over_budget": progress.too_much,
        "up_to_date": found.up_to_date,
        "device_hours": device_hours,
        "cost": round(device_hours * settings.device_hour_cost, 4),
    }
    folder.store_json("report", {**result, "jobs": [one.model_dump(mode="json") for one in progress.begun]})
    logger.info("The night: {}", result)
    return result


def budget_s(night: Night, settings: Settings) -> float | None:
    """Seconds of work a night may take, by the smaller of its limits. Raises UsageError for money without a price."""
    limits = [night.device_hours * 3600] if night.device_hours is not None else []
    if night.money is not None:
        if settings.device_hour_cost <= 0:
            raise UsageError(
                f"A budget of {night.money:g} needs the price of a device.", hint="Set SR_DEVICE_HOUR_COST."
            )
        limits.append(night.money / settings.device_hour_cost * 3600)
    return min(limits, default=None)


def closing(night: Night, now: datetime) -> datetime | None:
    """The next time after `now` that the clock shows `closes`, in UTC."""
    if night.closes is None:
        return None
    hour, minute = map(int, night.closes.split(":"))
    today = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def fits(estimate_s: float, progress: Progress, limit_s: float | None, now_s: float) -> bool:
    """Whether a job may be begun: within the budget, and ended before closing time behind those that run."""
    if limit_s is not None and progress.spent_s() + estimate_s > limit_s:
        return False
    ahead_s = sum(one.work_s for one in progress.running())
    return progress.closed_s is None or now_s + ahead_s + estimate_s <= progress.closed_s


def rate(found: Walk, progress: Progress, night: Night) -> float:
    """Seconds of work a byte of source takes: as seen on outputs that are there, else as the rules say."""
    sizes = {wanted.job_id: wanted.size_bytes for wanted in found.wanted[: progress.at]}
    done = [one for one in progress.begun if one.state == "completed"]
    done_bytes = sum(sizes[one.job_id] for one in done)
    if done_bytes:
        return sum(one.work_s for one in done) / done_bytes
    return found.device_s_per_byte or night.device_s_per_mb / _MB


def _begin(wanted: Wanted, estimate_s: float, inbox: Inbox) -> Begun:
    begun = Begun(
        job_id=wanted.job_id,
        source=wanted.conf["source"],
        output=wanted.conf["output"],
        reason=wanted.reason,
        work_s=estimate_s,
    )
    try:
        is_new = inbox.submit(Job(job_id=wanted.job_id, conf=wanted.conf))
    except UsageError as exc:
        logger.warning("{} is not taken: {}", begun.source, exc)
        return begun.model_copy(update={"state": "refused", "work_s": 0.0})
    if not is_new and inbox.failed([begun.job_id]):
        return begun.model_copy(update={"state": "failed before", "work_s": 0.0})
    if not is_new and inbox.completed([begun.job_id]):
        inbox.retry(begun.job_id)  # somebody has removed its output
    logger.info("Begun {} as {}: {}", begun.source, begun.job_id, begun.reason)
    return begun


def _see(one: Begun, inbox: Inbox, settings: Settings) -> None:
    if inbox.completed([one.job_id]):
        one.state = "completed"
        taken_s = work_s(one.output, settings)
        one.work_s = one.work_s if taken_s is None else taken_s
    elif inbox.failed([one.job_id]):
        one.state = "failed"


def _row(one: Begun) -> dict[str, str]:
    return {"source": one.source, "job_id": one.job_id, "state": one.state}
