"""Follows one job through Airflow's API and the job's folder until it ends. Changes nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sr_embedded.client import Client
from sr_tasks.errors import AirflowUnavailable, SrError
from sr_tasks.jobs.admission import Admissions
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG, PHASES, Status, Task
from sr_tasks.jobs.view import JobView, RunFacts, failed_tasks, untold
from sr_tasks.telemetry.progress import FramesDone, JobEnded, PhaseStarted, Progress
from sr_tasks.telemetry.terminal import for_stream

_POLL_S = 0.5
_SLOW_POLL_S = 5.0
"""With many chunks or a busy machine polling is slow, and done less often: up to this pause."""
_PATIENCE_S = 60.0
"""How long Airflow may be out of reach before the job is given up as lost."""
_ENDED = frozenset({Status.COMPLETED, Status.FAILED})


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as a launcher sees it."""

    client: Client
    job_id: str
    workdir: Path
    is_airflow_alive: Callable[[], bool]

    def view(self) -> JobView:
        """Where the job stands now. Raises AirflowUnavailable."""
        run = RunFacts(state=self.client.run_state(self.job_id), tasks=self.client.tasks(self.job_id))
        return JobView.of(JobFolder(self.workdir, self.job_id), run)

    def place(self) -> str:
        """What to add to its phase while it waits to be admitted; nothing if it does not."""
        ahead = Admissions(self.workdir).ahead_of(self.job_id)
        return "" if ahead is None else f", waits behind {ahead}" if ahead else ", waits and is next"

    def error(self, ended: JobView) -> SrError | None:
        """Why the job failed, in its own words if it left any; None if it completed."""
        if ended.status is Status.COMPLETED:
            return None
        if ended.error is not None:
            return ended.error.error()
        return untold(self.client.tasks(self.job_id))

    def log_of_failure(self, log_dir: Path) -> Path | None:
        """The log of the newest try that failed, if there is one on this machine."""
        run = log_dir / f"dag_id={JOB_DAG}" / f"run_id={self.job_id}"
        failed = failed_tasks(self.client.tasks(self.job_id))
        logs = [path for task_id in failed for path in (run / f"task_id={task_id}").rglob("*.log")]
        return max(logs, key=lambda path: path.stat().st_mtime, default=None)


def until_ended(job: Job, stream: TextIO) -> JobView:
    """Show the job's progress on `stream` until it ends, COMPLETED or FAILED.

    Raises AirflowUnavailable once Airflow has ended or been out of reach for a minute.
    """
    observer = for_stream(stream)
    phase = ""
    answered = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            view = job.view()
            answered = time.monotonic()
        except AirflowUnavailable:
            if time.monotonic() - answered > _PATIENCE_S or not job.is_airflow_alive():
                raise
        else:
            phase = _show(job, view, phase, observer)
            if view.status in _ENDED:
                return view
        time.sleep(min(max(_POLL_S, 2 * (time.monotonic() - started)), _SLOW_POLL_S))


def _show(job: Job, view: JobView, shown: str, observer: Progress) -> str:
    """Pass on what changed; returns the phase that is shown now."""
    if view.status in _ENDED:
        observer.on_event(JobEnded(status=str(view.status)))
        return view.phase
    phase = view.phase + (job.place() if view.status is Status.PENDING else "")
    if phase != shown:
        observer.on_event(PhaseStarted(phase=phase))
    if view.frames is not None and phase.startswith(PHASES[Task.UPSCALE]):
        observer.on_event(FramesDone(done=view.frames.done, total=view.frames.total, fps=view.frames.fps))
    return phase
