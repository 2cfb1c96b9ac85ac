"""Job status from Airflow's states: one mapping, used by everything that shows a job. Pure; queries nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


PHASES: dict[str, str] = {
    "admit": "accepted",
    "validate": "validating",
    "plan": "planning",
    "prepare_model": "preparing",
    "upscale": "upscaling",
    "assemble": "assembling",
    "assess": "assessing",
    "gate": "judging",
    "review": "reviewing",
    "deliver": "delivering",
    "report": "reporting",
    "clean": "cleaning",
}
"""Task id of `upscale_video` -> phase shown to users."""

_ADMITTING = "admit"
_WAITING = frozenset({"", "none", "scheduled", "queued"})
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
    chunks = [task for task in tasks if task["task_id"] == "upscale"]
    done = sum(1 for task in chunks if task["state"] == "success")
    steps = [task for task in tasks if task["task_id"] != _ADMITTING]
    started = any(str(task["state"] or "") not in _WAITING for task in steps)
    match run_state:
        case "queued":
            status = Status.PENDING
        case "running":
            status = Status.PROCESSING if started else Status.PENDING
        case "success":
            reported = any(task["task_id"] == "report" and task["state"] == "success" for task in tasks)
            status = Status.COMPLETED if reported else Status.FAILED
        case "failed":
            status = Status.FAILED
        case _:
            raise ValueError(f"{run_state!r} is not a Dag run state")
    phase = _phase(status, tasks, done, len(chunks))
    return JobStatus(status=status, phase=phase, chunks_done=done, chunks=len(chunks))


def _phase(status: Status, tasks: Sequence[Mapping[str, object]], done: int, chunks: int) -> str:
    if status is Status.PENDING:
        return "accepted"
    if status in (Status.COMPLETED, Status.FAILED):
        return status.value.lower()
    open_ids = {str(task["task_id"]) for task in tasks if str(task["state"] or "") not in _DONE}
    for task_id, phase in PHASES.items():
        if task_id in open_ids:
            return f"{phase} {done}/{chunks}" if task_id == "upscale" and chunks > 1 else phase
    return "cleaning"
