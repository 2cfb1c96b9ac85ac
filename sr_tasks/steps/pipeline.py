"""The whole job in one process, in the Dag's order: what the command line runs. Knows no Airflow."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import JobRunning, SrError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import PHASES, Status, Task
from sr_tasks.steps import (
    assemble,
    assess,
    clean,
    deliver,
    gate,
    plan,
    prepare_model,
    report,
    review,
    upscale,
    validate,
)
from sr_tasks.steps.shared.inspection import Inspection
from sr_tasks.storage.locks import locked
from sr_tasks.telemetry.logs import job_context
from sr_tasks.telemetry.process_memory import process_memory
from sr_tasks.telemetry.progress import ChunkDone, Event, FramesDone, JobEnded, PhaseStarted, Progress
from sr_tasks.telemetry.statsd import Instruments
from sr_tasks.telemetry.traces import Traces


def run(
    spec: JobSpec, job_id: str, settings: Settings, observer: Progress, inspection: Inspection | None = None
) -> dict[str, Any]:
    """Run a job to its end. Returns what `--json` prints; raises the SrError that ended the job.

    `inspection` is what `inspect_ahead` found for it a moment ago, if it was asked. On success nothing stays in
    scratch; on failure what a resume needs. Raises JobRunning if another process runs the very same job.
    """
    started, accepted = time.monotonic(), time.time()
    folder = JobFolder(settings.workdir, job_id)
    traces = Traces(settings)
    with Instruments(settings) as instruments, _alone(folder), job_context(job_id):
        instruments.job_changed(Status.PROCESSING)
        try:
            result = _steps(spec, job_id, settings, observer, traces, inspection)
        except BaseException as exc:
            if isinstance(exc, SrError):
                folder.store_error(exc)
            instruments.job_changed(Status.FAILED)
            observer.on_event(JobEnded(status=Status.FAILED))
            clean.run(job_id, settings, failed=True)
            traces.job_ended(job_id, accepted=accepted, status=Status.FAILED)
            raise
        clean.run(job_id, settings, failed=False)
        shutil.rmtree(folder.path)
        instruments.job_changed(Status.COMPLETED)
        instruments.job_took(time.monotonic() - started)
        traces.job_ended(job_id, accepted=accepted, status=Status.COMPLETED)
        observer.on_event(JobEnded(status=Status.COMPLETED))
    return {
        "status": str(Status.COMPLETED),
        **result,
        "seconds": round(time.monotonic() - started, 2),
        "peak_memory_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> int | None:
    """Largest resident size of this program. getrusage would count what its parent had before it started this one."""
    return process_memory("VmHWM")[0] >> 20 or None


def _steps(
    spec: JobSpec, job_id: str, settings: Settings, observer: Progress, traces: Traces,
    inspection: Inspection | None,
) -> dict[str, Any]:  # fmt: skip
    def step(task: Task, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        observer.on_event(PhaseStarted(phase=PHASES[task]))
        with job_context(job_id, step=task.value), traces.span(job_id, task.value):
            result = work()
            logger.info("{} done: {}", task, result)
        return result

    video = step(Task.VALIDATE, lambda: validate.run(spec, job_id, settings, inspection))
    planned = step(Task.PLAN, lambda: plan.run(job_id, settings))
    step(Task.PREPARE_MODEL, lambda: prepare_model.run(job_id, settings))
    chunks = _upscale_all(job_id, planned, settings, observer, traces)
    step(Task.ASSEMBLE, lambda: assemble.run(job_id, settings))
    quality = step(Task.ASSESS, lambda: assess.run(job_id, settings))
    if step(Task.GATE, lambda: gate.run(job_id, settings))["review"]:
        review.refuse_unseen(job_id, settings)
    delivered = step(Task.DELIVER, lambda: deliver.run(job_id, settings))
    files = step(Task.REPORT, lambda: report.run(job_id, settings))
    computed = sum(chunk["computed"] for chunk in chunks)
    return {
        "output": delivered["output"],
        "manifest": files["manifest"],
        "report": files["report"],
        **{kind: files[kind] for kind in spec.pictures_beside},
        "is_still": video["is_still"],
        "frames": video["frames"],
        "width": video["output_width"],
        "height": video["output_height"],
        "model": video["model"],
        "quality": quality,
        "computed_chunks": computed,
        "resumed_chunks": len(chunks) - computed,
    }


def _upscale_all(
    job_id: str, planned: dict[str, Any], settings: Settings, observer: Progress, traces: Traces
) -> list[dict[str, Any]]:
    observer.on_event(PhaseStarted(phase=PHASES[Task.UPSCALE]))
    results: list[dict[str, Any]] = []
    for index in planned["chunks"]:
        frames_before = sum(result["frames"] for result in results)
        with (
            job_context(job_id, step=Task.UPSCALE.value, chunk=index),
            traces.span(job_id, Task.UPSCALE.value, chunk=index),
        ):
            result = upscale.run(job_id, index, settings, _Offset(observer, frames_before, planned["frames"]))
        observer.on_event(ChunkDone(index=index, chunks=len(planned["chunks"]), is_resumed=not result["computed"]))
        results.append(result)
    return results


class _Offset:
    """Frames of one chunk as frames of the whole video."""

    def __init__(self, observer: Progress, before: int, total: int) -> None:
        self._observer, self._before, self._total = observer, before, total

    def on_event(self, event: Event) -> None:
        if isinstance(event, FramesDone):
            event = FramesDone(done=event.done + self._before, total=self._total, fps=event.fps)
        self._observer.on_event(event)


@contextmanager
def _alone(folder: JobFolder) -> Iterator[None]:
    with locked(folder.path / ".lock", wait=False) as is_ours:
        if not is_ours:
            raise JobRunning(
                f"The same job is running already ({folder.job_id}).", hint="Wait for it, or stop it first."
            )
        yield
