"""How long each step of a job took, one small file a step, so that mapped tasks never write the same one."""

import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.job import TaskTiming
from sr_tasks.telemetry.statsd import Instruments

Step = TypeVar("Step", bound=Callable[..., dict[str, Any]])


def timed(name: str) -> Callable[[Step], Step]:
    """Note the seconds of a successful `run(job_id, settings, ...)` in the job folder, and tell the instruments."""

    def wrap(run: Step) -> Step:
        @functools.wraps(run)
        def timed_run(job_id: str, settings: Settings, *args: Any, **options: Any) -> dict[str, Any]:
            started = time.monotonic()
            result = run(job_id, settings, *args, **options)
            seconds = time.monotonic() - started
            note(JobFolder(settings.workdir, job_id), name, seconds)
            with Instruments(settings) as instruments:
                instruments.step_done(name, seconds)
            return result

        return cast(Step, timed_run)

    return wrap


def note(folder: JobFolder, name: str, seconds: float) -> None:
    folder.store(f"timings/{name}", TaskTiming(seconds=round(seconds, 3)))
