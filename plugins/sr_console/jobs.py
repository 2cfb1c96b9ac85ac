"""The routes of jobs: submit, show, list, cancel, try again, delete. `changes`, `listing` and `runs` do the work."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from sr_console import changes, internals, listing, runs, tenants
from sr_console.internals import GetUserDep, SessionDep, may_use_runs
from sr_console.problems import documented
from sr_tasks.config import Settings
from sr_tasks.jobs.api import JobDetail, JobPage, JobRequest
from sr_tasks.jobs.status import JOB_DAG, Status

router = APIRouter(tags=["Jobs"])

_TEXT = r"^[^\x00-\x1f]*$"
_Text = Annotated[str | None, Query(max_length=300, pattern=_TEXT)]


@router.post(
    "/jobs",
    status_code=201,
    dependencies=[may_use_runs(JOB_DAG, "POST")],
    responses={
        200: {"model": JobDetail, "description": "The same request was accepted before: its job."},
        **documented(409, 413, 415, 422, 429),
    },
)
async def submit_job(
    request: JobRequest,
    user: GetUserDep,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] = None,
) -> JobDetail:
    """Submit a job. With an `id` or an `Idempotency-Key` the same request may be sent again: it gives the same job."""
    settings = Settings.from_env()
    job_id, is_new = await changes.submit(request, idempotency_key, user, settings)
    job = await run_in_threadpool(_shown, job_id, settings)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = job.links.self
    return job


@router.get("/jobs", dependencies=[may_use_runs(JOB_DAG, "GET")], responses=documented(422))
def list_jobs(
    session: SessionDep,
    user: GetUserDep,
    status: Annotated[Status | None, Query()] = None,
    model: Annotated[_Text, Query(description="`name` or `name@version`.")] = None,
    name: Annotated[_Text, Query(description="Part of the source's file name.")] = None,
    tenant: _Text = None,
    created_by: Annotated[_Text, Query(description="Name of the user.")] = None,
    text: Annotated[_Text, Query(description="Part of the id, or of the address of source or output.")] = None,
    accepted_from: Annotated[datetime | None, Query()] = None,
    accepted_before: Annotated[datetime | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> JobPage:
    """Jobs, the newest first, a page at a time."""
    wanted = listing.Wanted(
        status=status,
        model=model,
        name=name,
        tenant=tenant,
        created_by=created_by,
        text=text,
        accepted_from=listing.moment(accepted_from),
        accepted_before=listing.moment(accepted_before),
        of_tenant=tenants.only_shown(user, Settings.from_env()),
    )
    return listing.page(wanted, limit=limit, cursor=cursor, session=session)


@router.get("/jobs/{job_id}", dependencies=[may_use_runs(JOB_DAG, "GET")], responses=documented(404))
def show_job(job_id: str, session: SessionDep) -> JobDetail:
    """Where a job stands and what came of it."""
    return runs.detail(runs.known(job_id, session), Settings.from_env(), session)


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    dependencies=[may_use_runs(JOB_DAG, "PUT")],
    responses=documented(404, 409, 413, 415),
)
async def cancel_job(job_id: str, user: GetUserDep) -> JobDetail:
    """Stop a job. Finished chunks stay for another try. A job of somebody else only operators can stop."""
    settings = Settings.from_env()
    await changes.cancel(job_id, user, settings)
    return await run_in_threadpool(_shown, job_id, settings)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    dependencies=[may_use_runs(JOB_DAG, "PUT")],
    responses=documented(404, 409, 413, 415),
)
async def retry_job(job_id: str, user: GetUserDep) -> JobDetail:
    """Start a job that FAILED again. Finished chunks are not computed twice. Others' jobs are for operators."""
    settings = Settings.from_env()
    await changes.retry(job_id, user, settings)
    return await run_in_threadpool(_shown, job_id, settings)


@router.delete(
    "/jobs/{job_id}",
    status_code=204,
    dependencies=[may_use_runs(JOB_DAG, "DELETE")],
    responses=documented(404, 409, 413, 415, 422),
)
async def delete_job(
    job_id: str,
    user: GetUserDep,
    outputs: Annotated[bool, Query(description="Remove output, report and manifest too.")] = False,
) -> None:
    """Forget a job that ended, with its scratch. Others' jobs are for operators."""
    await changes.delete(job_id, user, Settings.from_env(), outputs=outputs)


def _shown(job_id: str, settings: Settings) -> JobDetail:
    with internals.create_session() as session:
        return runs.detail(runs.known(job_id, session), settings, session)
