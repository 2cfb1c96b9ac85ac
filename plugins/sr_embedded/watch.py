"""Follows one job through Airflow's API and the job's folder until it ends. Changes nothing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from sr_embedded.client import Client
from sr_tasks import errors
from sr_tasks.errors import AirflowUnavailable, IntegrityBroken, SrError
from sr_tasks.jobs.admission import Admissions
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG, PHASES, JobStatus, Status, Task, from_airflow
from sr_tasks.telemetry.progress import FramesDone, JobEnded, PhaseStarted, Progress
from sr_tasks.telemetry.terminal import for_stream

_POLL_S = 0.5
_SLOW_POLL_S = 5.0
"""With many chunks or a busy machine polling is slow, and done less often: up to this pause."""
_PATIENCE_S = 60.0
"""How long Airflow may be out of reach before the job is given up as lost."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job as a launcher sees it."""

    client: Client
    job_id: str
    workdir: Path
    is_airflow_alive: Callable[[], bool]

    @property
    def folder(self) -> JobFolder:
        return JobFolder(self.workdir, self.job_id)

    def delivered(self) -> dict[str, str]:
        """Addresses of output, report and manifest. Raises IntegrityBroken if the job did not say."""
        known = self.folder.load_json("delivery")
        return {name: str(known[name]) for name in ("output", "report", "manifest")}

    def place(self) -> str:
        """What to add to its phase while it waits to be admitted; nothing if it does not."""
        ahead = Admissions(self.workdir).ahead_of(self.job_id)
        return "" if ahead is None else f", waits behind {ahead}" if ahead else ", waits and is next"

    def frames(self) -> FramesDone | None:
        """Frames done of all chunks together; None while there is no plan, or while the last step clears up."""
        if not self.folder.has("plan"):
            return None
        try:
            return self._frames()
        except IntegrityBroken:
            return None

    def _frames(self) -> FramesDone:
        total = sum(chunk["frames"] for chunk in self.folder.load_json("plan")["chunks"])
        chunks = [self._chunk(path) for path in (self.folder.path / "progress").glob("[0-9]*.json")]
        fps = sum(chunk["fps"] for chunk in chunks if chunk["done"] < chunk["total"])
        return FramesDone(done=sum(int(chunk["done"]) for chunk in chunks), total=total, fps=fps)

    def _chunk(self, path: Path) -> Mapping[str, Any]:
        known: Mapping[str, Any] = self.folder.load_json(f"progress/{path.stem}")
        return known

    def error(self) -> SrError:
        """Why the job failed, in its own words if it left any."""
        if self.folder.has("error"):
            known = self.folder.load_json("error")
            return _by_code().get(known["code"], SrError)(known["message"], hint=known["hint"])
        failed = sorted({str(task["task_id"]) for task in self._failed_tasks()})
        return errors.JobCancelled(
            f"The job ended without telling why (stopped: {', '.join(failed) or 'before any task'}).",
            hint="Somebody marked it as failed, or a task was killed: the log may tell.",
        )

    def log_of_failure(self, log_dir: Path) -> Path | None:
        """The log of the newest try that failed, if there is one on this machine."""
        run = log_dir / f"dag_id={JOB_DAG}" / f"run_id={self.job_id}"
        logs = [path for task in self._failed_tasks() for path in (run / f"task_id={task['task_id']}").rglob("*.log")]
        return max(logs, key=lambda path: path.stat().st_mtime, default=None)

    def _failed_tasks(self) -> list[dict[str, Any]]:
        tasks = self.client.tasks(self.job_id)
        return [task for task in tasks if task["state"] == "failed" and task["task_id"] != Task.CLEAN]


def until_ended(job: Job, stream: TextIO) -> SrError | None:
    """Show the job's progress on `stream` until it ends; None if it completed, else what went wrong.

    Raises AirflowUnavailable once Airflow has ended or been out of reach for a minute.
    """
    observer = for_stream(stream)
    phase = ""
    answered = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            status = _status(job)
            answered = time.monotonic()
        except AirflowUnavailable:
            if time.monotonic() - answered > _PATIENCE_S or not job.is_airflow_alive():
                raise
        else:
            phase = _show(job, status, phase, observer)
            if status.status in (Status.COMPLETED, Status.FAILED):
                return None if status.status is Status.COMPLETED else job.error()
        time.sleep(min(max(_POLL_S, 2 * (time.monotonic() - started)), _SLOW_POLL_S))


def _status(job: Job) -> JobStatus:
    state = job.client.run_state(job.job_id)
    return from_airflow(state, job.client.tasks(job.job_id))


def _show(job: Job, status: JobStatus, shown: str, observer: Progress) -> str:
    """Pass on what changed; returns the phase that is shown now."""
    if status.status in (Status.COMPLETED, Status.FAILED):
        observer.on_event(JobEnded(status=status.status))
        return status.phase
    phase = status.phase + (job.place() if status.status is Status.PENDING else "")
    if phase != shown:
        observer.on_event(PhaseStarted(phase=phase))
    frames = job.frames() if phase.startswith(PHASES[Task.UPSCALE]) else None
    if frames is not None:
        observer.on_event(frames)
    return phase


def _by_code() -> dict[str, type[SrError]]:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SrError)]
    return {kind.code: kind for kind in kinds}
