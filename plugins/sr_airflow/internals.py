"""What the glue needs of Airflow beyond its documented interface, each imported when it is called.

The one module of the package that an upgrade of Airflow can break: ruff refuses such imports elsewhere (banned-api).
Decides nothing, and knows no job.
"""

import sys
from collections.abc import Collection, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from airflow.sdk.execution_time.comms import ErrorResponse
    from sqlalchemy.orm import Session


def count_runs(dag_id: str, *, run_ids: Collection[str] | None = None, states: Collection[str] | None = None) -> int:
    """How many of these runs are in these states; None stands for all. For tasks and triggers; blocks.

    Raises AirflowRuntimeError.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    return RuntimeTaskInstance.get_dr_count(
        dag_id=dag_id,
        run_ids=None if run_ids is None else list(run_ids),
        states=None if states is None else list(states),
    )


def trigger_run(dag_id: str, run_id: str, **content: Any) -> "ErrorResponse | None":
    """Ask the supervisor of a task for a run of a Dag; None if Airflow made it, else its answer."""
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, TriggerDagRun

    try:
        answer = task_runner.SUPERVISOR_COMMS.send(TriggerDagRun(dag_id=dag_id, run_id=run_id, **content))
    except AirflowRuntimeError as exc:
        answer = exc.error
    return answer if isinstance(answer, ErrorResponse) else None


def request_of_run(session: "Session", dag_id: str, run_id: str) -> tuple[Any, datetime | None]:
    """What a run was asked for with (`conf`), and when it was accepted. For the process that creates the run."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    wanted = select(DagRun.conf, DagRun.run_after).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    request, accepted_at = session.execute(wanted).one()
    return request, accepted_at


def leave_out_of_log(kind: type[BaseException]) -> None:
    """Let Airflow's log of this process say nothing of an exception of `kind`: who raises it has logged it already.

    Airflow logs what ends a task with the stack of its own frames, below which the sentence is lost.
    """
    processors = structlog.get_config()["processors"]
    silence = _Silence(kind)
    if silence not in processors:
        processors.insert(0, silence)


@dataclass(frozen=True)
class _Silence:
    """Drops the entries that are about an exception of one kind."""

    kind: type[BaseException]

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        about = entry.get("exc_info")
        raised = about if isinstance(about, BaseException) else sys.exc_info()[1] if about else None
        if isinstance(raised, self.kind):
            raise structlog.DropEvent
        return entry
