"""What the pages need of Airflow beyond its documented interface: who may do what, what its database says of runs,
and its own REST API, called in this process as the user who asks.

The one module of the package that an upgrade of Airflow can break: ruff refuses such imports elsewhere (banned-api).
Reads only; whatever changes, changes through Airflow's API.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from airflow.api.common.airflow_health import get_airflow_health
from airflow.api_fastapi.app import cached_app, get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails, PoolDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi import Depends
from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session

__all__ = ["GetUserDep", "Session", "SessionDep", "create_session"]

_TIMEOUT_S = 60.0

Condition = ColumnElement[bool]


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """The columns of a run that are shown."""

    number: int
    """Grows with each run."""
    run_id: str
    state: str
    conf: Any
    created_by: str
    accepted_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


_COLUMNS = (
    DagRun.id,
    DagRun.run_id,
    DagRun.state,
    DagRun.conf,
    DagRun.triggering_user_name,
    DagRun.run_after,
    DagRun.start_date,
    DagRun.end_date,
)


def may_use_runs(dag_id: str, method: Any) -> Any:
    """A dependency of FastAPI that lets through who may `GET`, `POST`, `PUT` or `DELETE` runs of a Dag."""
    return Depends(requires_access_dag(method, DagAccessEntity.RUN, dag_id))


def may_change_pool(name: str, user: Any) -> bool:
    """Whether somebody may change a pool of Airflow, as operators may."""
    return bool(get_auth_manager().is_authorized_pool(method="PUT", details=PoolDetails(name=name), user=user))


def may_submit(dag_id: str, user: Any) -> bool:
    """Whether somebody may start runs of a Dag."""
    return _may("POST", DagAccessEntity.RUN, dag_id, user)


def may_answer(dag_id: str, user: Any) -> bool:
    """Whether somebody may answer what runs of a Dag ask people."""
    return _may("PUT", DagAccessEntity.HITL_DETAIL, dag_id, user)


def _may(method: Any, entity: DagAccessEntity, dag_id: str, user: Any) -> bool:
    manager = get_auth_manager()
    details = DagDetails(id=dag_id)
    return bool(manager.is_authorized_dag(method=method, access_entity=entity, details=details, user=user))


async def ask_airflow(user: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of Airflow's answer to a call below `/api/v2`, made as `user`, in this process."""
    headers = {"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}
    transport = httpx.ASGITransport(app=cached_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow", timeout=_TIMEOUT_S) as http:
        answer = await http.request(method, f"/api/v2{path}", json=body, headers=headers)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return answer.status_code, answer.json() if is_json and answer.content else answer.text


def find_runs(dag_id: str, where: Sequence[Condition], limit: int, session: Session) -> list[RunRow]:
    """Runs that all conditions hold for, the newest first."""
    wanted = select(*_COLUMNS).where(DagRun.dag_id == dag_id, *where).order_by(DagRun.id.desc()).limit(limit)
    return [_row(*columns) for columns in session.execute(wanted)]


def find_run(dag_id: str, run_id: str, session: Session) -> RunRow | None:
    found = find_runs(dag_id, [DagRun.run_id == run_id], 1, session)
    return found[0] if found else None


def count_runs(dag_id: str, where: Sequence[Condition], session: Session) -> int:
    """How many runs all conditions hold for."""
    wanted = select(func.count()).select_from(DagRun).where(DagRun.dag_id == dag_id, *where)
    return session.scalar(wanted) or 0


def airflow_health() -> dict[str, str | None]:
    """State by component of Airflow: healthy, unhealthy, or None for one that was never started."""
    return {name: found["status"] for name, found in get_airflow_health().items()}


def knows_dag(dag_id: str) -> bool:
    """Whether Airflow has read a Dag, as it is now."""
    with create_session() as session:
        return session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id, ~DagModel.is_stale)) is not None


def tasks_of(
    dag_id: str, run_ids: Collection[str], session: Session, *, mapped: str
) -> dict[str, list[dict[str, str | None]]]:
    """`task_id` and `state` of every task instance by run, those of the `mapped` task one by one, and none of it before
    Airflow knows how many there are. One query for all runs."""
    wanted = (
        select(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state, func.count())
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id.in_(run_ids))
        .where(or_(TaskInstance.task_id != mapped, TaskInstance.map_index >= 0))
        .group_by(TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state)
    )
    found: dict[str, list[dict[str, str | None]]] = {run_id: [] for run_id in run_ids}
    for run_id, task_id, state, count in session.execute(wanted):
        found[run_id] += [{"task_id": task_id, "state": state}] * count
    return found


def asking(task_id: str, dag_id: str, session: Session) -> dict[str, datetime | None]:
    """Runs a task of which waits for a person, the newest first, and when that lapses."""
    waits = TaskInstance.state.in_(("awaiting_input", "deferred"))
    wanted = (
        select(TaskInstance.run_id, TaskInstance.trigger_timeout)
        .join(DagRun, and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id))
        .where(TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id, waits, DagRun.state == "running")
        .order_by(DagRun.id.desc())
    )
    return {run_id: lapses_at for run_id, lapses_at in session.execute(wanted)}


def returned_by(task_id: str, dag_id: str, run_ids: Collection[str], session: Session) -> dict[str, Any]:
    """What a task of these runs returned, by run; those that did not come so far are left out."""
    wanted = select(XComModel.run_id, XComModel.value).where(_is_answer(task_id, dag_id), XComModel.run_id.in_(run_ids))
    return {run_id: value for run_id, value in session.execute(wanted)}


def is_state(*states: str) -> Condition:
    return DagRun.state.in_(states)


def has_task(
    *, task_id: str | None = None, other_than: str | None = None, states: Collection[str], negate: bool = False
) -> Condition:
    """Runs with a task that is in one of `states`, or with `negate` in none of them. A task that Airflow has not
    looked at yet has no state, which counts as an empty one."""
    state = func.coalesce(TaskInstance.state, "")
    is_in = state.not_in(states) if negate else state.in_(states)
    which = [TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id, is_in]
    if task_id is not None:
        which.append(TaskInstance.task_id == task_id)
    if other_than is not None:
        which.append(TaskInstance.task_id != other_than)
    return exists().where(*which)


def negated(condition: Condition) -> Condition:
    return not_(condition)


def every(*conditions: Condition) -> Condition:
    return and_(*conditions)


def any_of(*conditions: Condition) -> Condition:
    return or_(*conditions)


def asked_for(field: str, value: str) -> Condition:
    """Runs whose request has this value in a field."""
    return _field(field) == value


def request_contains(field: str, text: str) -> Condition:
    """Runs in whose request a field contains a text, whatever the case of its letters."""
    return _field(field).icontains(text, autoescape=True)


def name_contains(field: str, text: str) -> Condition:
    """The same of what is behind the last slash of an address."""
    address = _field(field)
    folder = func.rtrim(address, func.replace(address, "/", ""))
    return func.replace(address, folder, "").icontains(text, autoescape=True)


def created_by(user: str) -> Condition:
    return DagRun.triggering_user_name == user


def id_contains(text: str) -> Condition:
    return DagRun.run_id.icontains(text, autoescape=True)


def returned(task_id: str, dag_id: str, field: str, value: str, *, or_begins: str) -> Condition:
    """Runs a task of which returned this value in a field, or one that begins with `or_begins`."""
    chosen = XComModel.value[field].as_string()
    is_so = or_(chosen == value, chosen.startswith(or_begins, autoescape=True))
    return exists().where(_is_answer(task_id, dag_id), XComModel.run_id == DagRun.run_id, is_so)


def accepted_from(moment: datetime) -> Condition:
    return DagRun.run_after >= moment


def accepted_before(moment: datetime) -> Condition:
    return DagRun.run_after < moment


def older_than(number: int) -> Condition:
    return DagRun.id < number


def _field(name: str) -> ColumnElement[str]:
    """A field of the request of a run, as text."""
    found: ColumnElement[str] = DagRun.conf[name].as_string()
    return found


def _is_answer(task_id: str, dag_id: str) -> Condition:
    return and_(XComModel.dag_id == dag_id, XComModel.task_id == str(task_id), XComModel.key == "return_value")


def _row(
    number: int,
    run_id: str,
    state: Any,
    conf: Any,
    user: str | None,
    accepted: datetime | None,
    started: datetime | None,
    ended: datetime | None,
) -> RunRow:
    return RunRow(
        number=number,
        run_id=run_id,
        state=str(state),
        conf=conf,
        created_by=user or "",
        accepted_at=accepted,
        started_at=started,
        ended_at=ended,
    )
