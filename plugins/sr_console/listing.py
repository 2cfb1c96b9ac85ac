"""Jobs as rows: which ones are wanted, in the words of Airflow's database, and what each row shows. Three queries a
page and no job folder, however many jobs there are. Reads only."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sr_console import internals
from sr_console.internals import Condition, RunRow, Session
from sr_tasks.errors import UsageError
from sr_tasks.jobs.api import JobPage, JobSummary
from sr_tasks.jobs.spec import AUTO
from sr_tasks.jobs.status import JOB_DAG, WAITING, Status, Task, from_airflow
from sr_tasks.jobs.view import file_name


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which jobs; what is None is not asked about."""

    status: Status | None = None
    model: str | None = None
    """`name` or `name@version`, as it was chosen or asked for."""
    name: str | None = None
    """Part of the source's file name."""
    tenant: str | None = None
    created_by: str | None = None
    text: str | None = None
    """Part of the id or of the address of source or output."""
    accepted_from: datetime | None = None
    accepted_before: datetime | None = None
    of_tenant: str | None = None
    """The only tenant that the asker sees."""


def page(wanted: Wanted, *, limit: int, cursor: str | None, session: Session) -> JobPage:
    """Up to `limit` jobs after the cursor, the newest first. Raises UsageError for a cursor that is none."""
    where = list(_conditions(wanted))
    if cursor:
        where.append(internals.older_than(_number(cursor)))
    rows = internals.find_runs(JOB_DAG, where, limit + 1, session)
    shown = rows[:limit]
    run_ids = [row.run_id for row in shown]
    tasks = internals.tasks_of(JOB_DAG, run_ids, session, mapped=Task.UPSCALE)
    validated = internals.returned_by(Task.VALIDATE, JOB_DAG, run_ids, session)
    jobs = [_summary(row, tasks[row.run_id], validated.get(row.run_id)) for row in shown]
    return JobPage(jobs=jobs, next_cursor=_cursor(shown[-1].number) if len(rows) > limit else None)


def count(wanted: Wanted, session: Session) -> int:
    return internals.count_runs(JOB_DAG, list(_conditions(wanted)), session)


def moment(text: datetime | None) -> datetime | None:
    """A time in UTC; one without a zone is meant so. Raises UsageError for one that no calendar has there."""
    if text is None:
        return None
    try:
        return text.replace(tzinfo=UTC) if text.tzinfo is None else text.astimezone(UTC)
    except OverflowError as exc:
        raise UsageError(f"The time {text.isoformat()} lies outside the calendar.", hint="Use a later one.") from exc


def _summary(row: RunRow, tasks: list[dict[str, str | None]], validated: Any) -> JobSummary:
    at = from_airflow(row.state, tasks)
    request = row.conf if isinstance(row.conf, dict) else {}
    chosen = validated.get("model") if isinstance(validated, dict) else None
    tenant = request.get("tenant")
    return JobSummary(
        job_id=row.run_id,
        status=at.status,
        phase=at.phase,
        source=file_name(str(request.get("source") or "")),
        model=str(chosen or request.get("model") or AUTO),
        tenant=None if tenant is None else str(tenant),
        priority=str(request.get("priority") or "normal"),
        created_by=row.created_by,
        chunks=at.chunks,
        chunks_done=at.chunks_done,
        accepted_at=row.accepted_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _conditions(wanted: Wanted) -> Iterator[Condition]:
    if wanted.status is not None:
        yield _stands_at(wanted.status)
    if wanted.model is not None:
        chosen = internals.returned(Task.VALIDATE, JOB_DAG, "model", wanted.model, or_begins=f"{wanted.model}@")
        yield internals.any_of(internals.asked_for("model", wanted.model), chosen)
    if wanted.name is not None:
        yield internals.name_contains("source", wanted.name)
    if wanted.tenant is not None:
        yield internals.asked_for("tenant", wanted.tenant)
    if wanted.of_tenant is not None:
        yield internals.asked_for("tenant", wanted.of_tenant)
    if wanted.created_by is not None:
        yield internals.created_by(wanted.created_by)
    if wanted.text is not None:
        fields = [internals.request_contains(field, wanted.text) for field in ("source", "output")]
        yield internals.any_of(internals.id_contains(wanted.text), *fields)
    if wanted.accepted_from is not None:
        yield internals.accepted_from(wanted.accepted_from)
    if wanted.accepted_before is not None:
        yield internals.accepted_before(wanted.accepted_before)


def _stands_at(status: Status) -> Condition:
    """What `jobs.status.from_airflow` says of one run, as a condition on all."""
    has_begun = internals.has_task(other_than=Task.ADMIT, states=WAITING, negate=True)
    has_reported = internals.has_task(task_id=Task.REPORT, states=("success",))
    match status:
        case Status.PENDING:
            waits = internals.every(internals.is_state("running"), internals.negated(has_begun))
            return internals.any_of(internals.is_state("queued"), waits)
        case Status.PROCESSING:
            return internals.every(internals.is_state("running"), has_begun)
        case Status.COMPLETED:
            return internals.every(internals.is_state("success"), has_reported)
    stopped = internals.every(internals.is_state("success"), internals.negated(has_reported))
    return internals.any_of(internals.is_state("failed"), stopped)


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def _number(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if text.isdigit() and len(text) < 19:
            return int(text)
    except (ValueError, binascii.Error):
        pass
    raise UsageError(f"The cursor {cursor!r} is none of ours.", hint="Use next_cursor of the page before, or none.")
