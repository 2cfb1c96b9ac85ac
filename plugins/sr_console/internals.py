"""What the pages need of Airflow beyond its documented interface: who may read runs, and what its database says of one.

The one module of the package that an upgrade of Airflow can break: ruff refuses such imports elsewhere (banned-api).
Reads only.
"""

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from fastapi import Depends
from sqlalchemy import select
from sqlalchemy.orm import Session

__all__ = ["Session", "SessionDep", "has_run", "reader_of_runs", "returned_by"]


def reader_of_runs(dag_id: str) -> Any:
    """A dependency of FastAPI that lets through who may read the runs of a Dag."""
    return Depends(requires_access_dag("GET", DagAccessEntity.RUN, dag_id))


def has_run(dag_id: str, run_id: str, session: Session) -> bool:
    wanted = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    return session.scalar(wanted) is not None


def returned_by(task_id: str, dag_id: str, run_id: str, session: Session) -> Any:
    """What a task of a run returned; None if it did not come so far."""
    wanted = select(XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == str(task_id),
        XComModel.key == "return_value",
    )
    return session.scalar(wanted)
