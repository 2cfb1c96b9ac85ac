"""What programs and people change: a job is submitted, cancelled, tried again, deleted, an output decided about.

All of it goes through Airflow's own API as the user who asks, so its checks and its audit log hold.
"""

import asyncio
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool

from sr_console import internals, runs, tenants
from sr_console.internals import RunRow
from sr_console.problems import Refused
from sr_tasks.config import Settings
from sr_tasks.errors import AirflowUnavailable, UsageError
from sr_tasks.jobs import removal
from sr_tasks.jobs.api import JobDetail, JobRequest, ReviewAnswer
from sr_tasks.jobs.ids import id_of_key, new_job_id
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import JOB_DAG, Status, Task
from sr_tasks.storage import uris

_OPEN = ("queued", "running")
_TRIES, _PAUSE_S = 5, 0.4


async def submit(request: JobRequest, key: str | None, user: Any, settings: Settings) -> tuple[str, bool]:
    """Id of the job, and whether it is a new one. Raises Refused (409, 429), UsageError, UriNotAllowed and
    AirflowUnavailable."""
    spec = await run_in_threadpool(tenants.claimed, request.spec, user, settings)
    _check_addresses(spec, settings)
    if request.id is not None and key is not None:
        raise UsageError("The request has an id and an Idempotency-Key.", hint="Leave one of them out.")
    job_id = request.id or (id_of_key(key, user.get_name()) if key else new_job_id(spec))
    if await run_in_threadpool(_is_there, job_id, spec, settings):
        return job_id, False
    body = {"dag_run_id": job_id, "logical_date": None, "conf": spec.model_dump(mode="json")}
    status, answer = await _asked(user, "POST", f"/dags/{JOB_DAG}/dagRuns", body, unless=(409,))
    if status == 409:
        if not await run_in_threadpool(_is_there, job_id, spec, settings):
            raise AirflowUnavailable(f"Airflow has the job {job_id} and does not show it.", hint="Ask again.")
        return job_id, False
    return job_id, True


async def cancel(job_id: str, user: Any, settings: Settings) -> None:
    """Stop a job. One that failed already is left alone. Raises Refused (403, 404, 409) and AirflowUnavailable."""
    job = await run_in_threadpool(_changeable, job_id, user, settings)
    if job.status is Status.COMPLETED:
        raise _conflict(job, "cannot be cancelled", "DELETE it, with outputs=true if they are not wanted.")
    if job.status is not Status.FAILED:
        await _asked(user, "PATCH", _path(job_id), {"state": "failed"})


async def retry(job_id: str, user: Any, settings: Settings) -> None:
    """Start a job that failed again from its first step. Finished chunks are not computed twice. Raises as `cancel`."""
    job = await run_in_threadpool(_changeable, job_id, user, settings)
    if job.status is not Status.FAILED:
        raise _conflict(job, "cannot be tried again", "Only a job that FAILED can.")
    await _asked(user, "POST", f"{_path(job_id)}/clear", {"dry_run": False})


async def delete(job_id: str, user: Any, settings: Settings, *, outputs: bool) -> None:
    """Forget a job that ended, and remove what it delivered if `outputs`. Raises as `cancel`, and what removing
    raises."""
    job = await run_in_threadpool(_changeable, job_id, user, settings)
    if job.status not in (Status.COMPLETED, Status.FAILED):
        raise _conflict(job, "cannot be deleted", "Cancel it first.")
    await run_in_threadpool(_remove, job_id, settings, outputs)
    await _asked(user, "DELETE", _path(job_id), unless=(404,))


async def decide(job_id: str, answer: ReviewAnswer, user: Any) -> None:
    """Answer the question that a job asks. Raises Refused (403, 404, 409) and AirflowUnavailable."""
    await run_in_threadpool(_known, job_id)
    body = {"chosen_options": [answer.decision.capitalize()], "params_input": {"note": answer.note}}
    path = f"{_path(job_id)}/taskInstances/{Task.REVIEW}/-1/hitlDetails"
    status, _ = await _asked(user, "PATCH", path, body, unless=(404, 409))
    if status == 404:
        raise Refused(409, "NOT_WAITING", f"The job {job_id} asks nobody.", "GET /reviews lists those that do.")
    if status == 409:
        raise Refused(409, "DECIDED_ALREADY", f"Somebody decided about the job {job_id} already.", "GET /reviews.")


def _known(job_id: str) -> None:
    with internals.create_session() as session:
        runs.known(job_id, session)


def _check_addresses(spec: JobSpec, settings: Settings) -> None:
    """Both must be allowed, and the same on every machine. Raises UriNotAllowed and UsageError."""
    for field in ("source", "output"):
        address = getattr(spec, field)
        if address is None:
            continue
        if ":" not in address.partition("/")[0] and not address.startswith("/"):
            raise UsageError(
                f"{field}={address!r} is a relative path.", hint="Use an absolute one, file:///... or s3://bucket/key."
            )
        uris.parse(address, settings)


def _is_there(job_id: str, spec: JobSpec, settings: Settings) -> bool:
    """Whether the very same request has a run. Raises Refused if the id stands for another one, or if there are too
    many jobs for a new one."""
    with internals.create_session() as session:
        run = internals.find_run(JOB_DAG, job_id, session)
        waiting = internals.count_runs(JOB_DAG, [internals.is_state(*_OPEN)], session) if run is None else 0
    if run is not None and runs.request_of(run) != spec:
        raise Refused(
            409,
            "ID_TAKEN",
            f"The id or key stands for another request, that of the job {job_id}.",
            "Use a new id or Idempotency-Key for a new request.",
        )
    if settings.max_open_jobs and waiting >= settings.max_open_jobs:
        raise Refused(
            429,
            "TOO_MANY_JOBS",
            f"{waiting} jobs wait or run already.",
            "Ask again once some have ended. SR_MAX_OPEN_JOBS is the limit.",
            Retry_After="60",
        )
    return run is not None


def _changeable(job_id: str, user: Any, settings: Settings) -> JobDetail:
    """The job, for its own user and for operators. Raises Refused."""
    with internals.create_session() as session:
        run = runs.known(job_id, session)
        _require_own(run, user)
        return runs.detail(run, settings, session)


def _require_own(run: RunRow, user: Any) -> None:
    if run.created_by != user.get_name() and not tenants.is_operator(user):
        raise Refused(
            403,
            "NOT_YOURS",
            f"The job {run.run_id} was submitted by {run.created_by or 'no person'}.",
            "Ask that person, or an operator.",
        )


def _remove(job_id: str, settings: Settings, outputs: bool) -> None:
    if outputs:
        with internals.create_session() as session:
            delivered = runs.delivered(job_id, session)
        removal.remove_delivered(job_id, delivered, settings)
    removal.remove_scratch(job_id, settings)


def _conflict(job: JobDetail, what: str, hint: str) -> Refused:
    return Refused(409, f"JOB_{job.status}", f"The job {job.job_id} is {job.status} and {what}.", hint)


async def _asked(
    user: Any, method: str, path: str, body: Any = None, *, unless: tuple[int, ...] = ()
) -> tuple[int, Any]:
    """Airflow's answer if it is a success or one of `unless`. Raises UsageError, Refused and AirflowUnavailable."""
    for attempt in range(_TRIES):
        status, answer = await internals.ask_airflow(user, method, path, body)
        if status < 500:
            break
        # On SQLite two writers can get in each other's way.
        await asyncio.sleep(_PAUSE_S * (attempt + 1))
    if status < 400 or status in unless:
        return status, answer
    said = answer.get("detail", answer) if isinstance(answer, dict) else answer
    if status == 403:
        raise Refused(403, "FORBIDDEN", f"Airflow does not let this user do that: {said}.", "Ask for a role that may.")
    if status in (400, 422):
        raise UsageError(f"Airflow does not accept the request: {said}.", hint="See the fields of JobRequest.")
    raise AirflowUnavailable(f"Airflow answered {status}: {str(said)[:300]}.", hint="Ask again in a moment.")


def _path(job_id: str) -> str:
    return f"/dags/{JOB_DAG}/dagRuns/{quote(job_id, safe='')}"
