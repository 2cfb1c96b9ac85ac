"""The Dag of the jobs, its tasks, and the job status that follows from Airflow's states. Pure; queries nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

JOB_DAG = "upscale_video"
"""Id of the Dag whose runs are the jobs."""
FOLDER_DAG = "upscale_pictures"
"""Id of the Dag whose runs take folders of pictures."""


class Task(StrEnum):
    """The tasks of a job, by their ids in the Dag, in their order."""

    ADMIT = "admit"
    VALIDATE = "validate"
    PLAN = "plan"
    PREPARE_MODEL = "prepare_model"
    UPSCALE = "upscale"
    ASSEMBLE = "assemble"
    ASSESS = "assess"
    GATE = "gate"
    REVIEW = "review"
    DELIVER = "deliver"
    REPORT = "report"
    CLEAN = "clean"


class Status(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


PHASES: dict[Task, str] = {
    Task.ADMIT: "accepted",
    Task.VALIDATE: "validating",
    Task.PLAN: "planning",
    Task.PREPARE_MODEL: "preparing",
    Task.UPSCALE: "upscaling",
    Task.ASSEMBLE: "assembling",
    Task.ASSESS: "assessing",
    Task.GATE: "judging",
    Task.REVIEW: "reviewing",
    Task.DELIVER: "delivering",
    Task.REPORT: "reporting",
    Task.CLEAN: "cleaning",
}
"""The phase that users are shown while a task runs."""

WAITING = frozenset({"", "none", "scheduled", "queued"})
"""States of a task that did not begin."""
_DONE = frozenset({"success", "skipped", "failed", "upstream_failed", "removed"})


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """Where a job stands. `chunks_done` of `chunks` counts mapped `upscale` tasks, both 0 before the plan."""

    status: Status
    phase: str
    chunks_done: int
    chunks: int


def from_airflow(run_state: str, tasks: Sequence[Mapping[str, object]]) -> JobStatus:
    """Map a Dag run's state and its task instances (mappings with `task_id`, `state`) to a job status.

    queued -> PENDING, running -> PROCESSING (PENDING until it was admitted and a step started), success -> COMPLETED,
    failed -> FAILED. A run that Airflow calls a success without its last step having run was stopped: FAILED.
    Raises ValueError for a run state Airflow does not have.
    """
    chunks = [task for task in tasks if task["task_id"] == Task.UPSCALE]
    done = sum(1 for task in chunks if task["state"] == "success")
    steps = [task for task in tasks if task["task_id"] != Task.ADMIT]
    started = any(str(task["state"] or "") not in WAITING for task in steps)
    match run_state:
        case "queued":
            status = Status.PENDING
        case "running":
            status = Status.PROCESSING if started else Status.PENDING
        case "success":
            reported = any(task["task_id"] == Task.REPORT and task["state"] == "success" for task in tasks)
            status = Status.COMPLETED if reported else Status.FAILED
        case "failed":
            status = Status.FAILED
        case _:
            raise ValueError(f"{run_state!r} is not a Dag run state")
    phase = _phase(status, tasks, done, len(chunks))
    return JobStatus(status=status, phase=phase, chunks_done=done, chunks=len(chunks))


def _phase(status: Status, tasks: Sequence[Mapping[str, object]], done: int, chunks: int) -> str:
    if status is Status.PENDING:
        return PHASES[Task.ADMIT]
    if status in (Status.COMPLETED, Status.FAILED):
        return status.value.lower()
    open_ids = {str(task["task_id"]) for task in tasks if str(task["state"] or "") not in _DONE}
    for task_id, phase in PHASES.items():
        if task_id in open_ids:
            return f"{phase} {done}/{chunks}" if task_id is Task.UPSCALE and chunks > 1 else phase
    return PHASES[Task.CLEAN]
