"""How long one try of a step may take, said to Airflow before it starts the clock. Stops nothing itself."""

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.telemetry.durations import in_words

log = logging.getLogger(__name__)

LONGEST = timedelta(hours=12)
"""Of any try: the limit where nothing better is known."""


@dataclass(frozen=True, kw_only=True)
class TimeLimit:
    """Of one try, in seconds, and what it was made of; None for a try that can be given no estimate."""

    limit_s: float
    estimate_s: float | None = None

    def __str__(self) -> str:
        estimated = "" if self.estimate_s is None else f" (it was estimated to take {in_words(self.estimate_s)})"
        return f"{in_words(self.limit_s)}{estimated}"


_LONGEST = TimeLimit(limit_s=LONGEST.total_seconds())
_current: ContextVar[TimeLimit] = ContextVar("time_limit", default=_LONGEST)


def limit_try(context: Mapping[str, Any]) -> None:
    """For `on_execute_callback`, which Airflow calls before it arms the clock of a try: sets the `execution_timeout` of
    a step whose work can be estimated.

    What it raises Airflow logs, and the try has the limit that its Dag gives it.
    """
    ti = context["ti"]
    _current.set(_LONGEST)
    limit = of_try(ti.task_id, ti.run_id, _chunk(ti), ti.try_number or 1, Settings.from_env())
    if limit.estimate_s is not None:
        _current.set(limit)
        ti.task.execution_timeout = timedelta(seconds=limit.limit_s)
        log.info("The time limit of this try is %s.", limit)


def of_try(step: str, job_id: str, chunk: int | None, attempt: int, settings: Settings) -> TimeLimit:
    """`step_limit_factor` times the estimate, but no less than `step_limit_minutes`; twice as much each further try,
    so that a slow machine comes through; besides, the time a GPU may be waited for. Never more than the longest.

    Raises IntegrityBroken.
    """
    from sr_tasks.steps import estimate

    estimate_s = estimate.seconds(step, job_id, chunk, settings)
    if estimate_s is None:
        return _LONGEST
    first_s = max(settings.step_limit_minutes * 60, settings.step_limit_factor * estimate_s)
    limit_s = first_s * 2.0 ** (attempt - 1) + (settings.gpu_wait_s if chunk is not None else 0.0)
    return TimeLimit(limit_s=min(LONGEST.total_seconds(), limit_s), estimate_s=estimate_s)


def current() -> TimeLimit:
    """The limit of the try that runs in this process."""
    return _current.get()


def _chunk(ti: Any) -> int | None:
    return ti.map_index if ti.map_index is not None and ti.map_index >= 0 else None
