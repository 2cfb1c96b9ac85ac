"""One job as people see it: launcher, alerts and pages of jobs read its folder through this alone.

A view is made from the job's folder and from what Airflow says of its run, anew each time: no state is kept twice. A
record that is not there yet, or no more, leaves its field empty. Loads neither a codec nor a runtime.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, computed_field

from sr_tasks.errors import JobCancelled
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Status, Task, from_airflow
from sr_tasks.records.assessment import Verdict
from sr_tasks.records.forecast import Forecast
from sr_tasks.records.job import ChunkProgress, DeliveryRecord, OutputRecord, PlanRecord, SourceRecord, TaskTiming

_ENDED = frozenset({Status.COMPLETED, Status.FAILED})


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What Airflow says of the run of a job. Fields that the asker does not know stay empty."""

    state: str = ""
    tasks: Sequence[Mapping[str, object]] | None = None
    """Task instances, as `jobs.status.from_airflow` reads them."""
    forecast: Forecast | None = None
    """What the job was expected to take; None before its source was looked at."""
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class FrameCount(BaseModel):
    """Frames of all chunks together."""

    model_config = ConfigDict(frozen=True)

    done: int
    total: int
    fps: float
    """Lately, of the chunks that are computed now; 0 if unknown."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def time_left_s(self) -> float | None:
        """Seconds until the last frame is enlarged at this speed; None if the speed is unknown."""
        return round((self.total - self.done) / self.fps, 1) if self.fps > 0 else None


class JobView(BaseModel):
    """Where a job stands and what came of it."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    source: str = ""
    """File name of the source."""
    status: Status | None = None
    """None if Airflow did not tell the state and the tasks of the run."""
    phase: str = ""
    frames: FrameCount | None = None
    """None before the plan and after the end."""
    chunks: int = 0
    """0 before the plan."""
    chunks_done: int = 0
    error: Failure | None = None
    """Why this run failed. What an earlier run of the job left does not count."""
    model: str = ""
    """`name@version`; empty before a model was chosen."""
    verdict: Verdict | None = None
    """What the quality gate said."""
    delivery: DeliveryRecord | None = None
    report: str = ""
    """Where the report is: beside the output once delivered, before that in the job's folder. Empty: there is none."""
    timings_s: dict[str, float] = {}
    """Seconds by step, of the steps that are done."""
    device_s: float | None = None
    """Seconds of work of a device, all chunks together; None until the output is assembled."""
    forecast: Forecast | None = None
    """What the job was expected to take; None before its source was looked at."""
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, folder: JobFolder, run: RunFacts | None = None) -> Self:
        """Raises ValueError for a state of a run that Airflow does not have."""
        run = run or RunFacts()
        at = from_airflow(run.state, run.tasks) if run.tasks is not None else None
        source, delivery, failure = (
            folder.find("source", SourceRecord), folder.find("delivery", DeliveryRecord), folder.failure()
        )  # fmt: skip
        return cls(
            job_id=folder.job_id,
            source=file_name(source.uri) if source else "",
            status=at.status if at else None,
            phase=at.phase if at else "",
            frames=None if at and at.status in _ENDED else _frames(folder),
            chunks=at.chunks if at else 0,
            chunks_done=at.chunks_done if at else 0,
            error=failure if failure and failure.is_of_run(run.started_at) else None,
            model=source.model if source else "",
            verdict=folder.find("verdict", Verdict),
            delivery=delivery,
            report=(delivery.report if delivery else "") or _report_in(folder),
            timings_s=noted_timings(folder),
            device_s=output.upscale_s if (output := folder.find("output", OutputRecord)) else None,
            forecast=folder.find("forecast", Forecast),
            accepted_at=run.accepted_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
        )


def noted_timings(folder: JobFolder) -> dict[str, float]:
    """Seconds by step, of the steps that are done."""
    files = sorted((folder.path / "timings").glob("*.json"))
    found = {file.stem: folder.find(f"timings/{file.stem}", TaskTiming) for file in files}
    return {step: timing.seconds for step, timing in found.items() if timing is not None}


def failed_tasks(tasks: Sequence[Mapping[str, object]]) -> list[str]:
    """Ids of the tasks that failed. `clean` fails with every job that fails, so it tells nothing."""
    return sorted({str(task["task_id"]) for task in tasks if task["state"] == "failed"} - {str(Task.CLEAN)})


def untold(tasks: Sequence[Mapping[str, object]]) -> JobCancelled:
    """The error of a job that failed and left none."""
    return JobCancelled(
        f"The job ended without telling why (stopped: {', '.join(failed_tasks(tasks)) or 'before any task'}).",
        hint="Somebody marked it as failed, or a task was killed: the log may tell.",
    )


def file_name(uri: str) -> str:
    """The name of a file from its address, decoded."""
    return PurePosixPath(unquote(urlsplit(uri).path)).name


def _report_in(folder: JobFolder) -> str:
    page = folder.path / "report.html"
    return str(page) if page.is_file() else ""


def _frames(folder: JobFolder) -> FrameCount | None:
    plan = folder.find("plan", PlanRecord)
    if plan is None:
        return None
    files = (folder.path / "progress").glob("[0-9]*.json")
    found = [folder.find(f"progress/{file.stem}", ChunkProgress) for file in files]
    chunks = [chunk for chunk in found if chunk is not None]
    return FrameCount(
        done=sum(chunk.done for chunk in chunks),
        total=sum(chunk.frames for chunk in plan.chunks),
        fps=sum(chunk.fps for chunk in chunks if chunk.done < chunk.total),
    )
