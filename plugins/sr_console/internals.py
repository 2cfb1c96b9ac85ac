"""What the pages need of Airflow beyond its documented interface: who may read runs, and what its database says of one.

The one module of the package that an upgrade of Airflow can break: ruff refuses such imports elsewhere (banned-api).
Reads only.
"""

from datetime import datetime
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import Session

__all__ = ["Session", "SessionDep", "has_run", "reader_of_runs", "returned_by", "run_row", "task_states"]


def reader_of_runs(dag_id: str) -> Any:
    """A dependency of FastAPI that lets through who may read the runs of a Dag."""
    return Depends(requires_access_dag("GET", DagAccessEntity.RUN, dag_id))


def has_run(dag_id: str, run_id: str, session: Session) -> bool:
    wanted = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    return session.scalar(wanted) is not None


def run_row(
    dag_id: str, run_id: str, session: Session
) -> tuple[str, datetime | None, datetime | None, datetime | None]:
    """State of a run, and when it was accepted, started and ended. Raises NoResultFound if there is none."""
    wanted = select(DagRun.state, DagRun.run_after, DagRun.start_date, DagRun.end_date)
    state, accepted, started, ended = session.execute(
        wanted.where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).one()
    return str(state), accepted, started, ended


def task_states(dag_id: str, run_id: str, session: Session) -> list[dict[str, str | None]]:
    """`task_id` and `state` of every task instance of a run, those of mapped tasks one by one."""
    wanted = select(TaskInstance.task_id, TaskInstance.state)
    rows = session.execute(wanted.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id))
    return [{"task_id": task_id, "state": state} for task_id, state in rows]


def returned_by(task_id: str, dag_id: str, run_id: str, session: Session) -> Any:
    """What a task of a run returned; None if it did not come so far."""
    wanted = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == str(task_id),
        XComModel.key == "return_value",
    )
    return session.scalar(wanted)
