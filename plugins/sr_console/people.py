"""The routes for people: who asks and what they may do, and outputs that wait for somebody to decide."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from sr_console import changes, internals, reports, runs, tenants
from sr_console.internals import GetUserDep, Session, SessionDep, may_use_runs
from sr_console.problems import documented
from sr_tasks.config import Settings
from sr_tasks.jobs.api import JobDetail, Person, ReviewAnswer, WaitingReview
from sr_tasks.jobs.status import JOB_DAG, Task

router = APIRouter(tags=["People"], dependencies=[may_use_runs(JOB_DAG, "GET")])

MOST_REVIEWS = 50


@router.get("/me", responses=documented())
def show_person(user: GetUserDep) -> Person:
    """Who asks, and what they may do here."""
    return Person(
        name=user.get_name(),
        may_submit=internals.may_submit(JOB_DAG, user),
        may_review=internals.may_answer(JOB_DAG, user),
        may_change_all=tenants.is_operator(user),
    )


@router.get("/reviews", responses=documented())
def list_reviews(session: SessionDep, user: GetUserDep) -> list[WaitingReview]:
    """Jobs whose output waits for a person, the newest first, up to 50 of them."""
    settings, waiting = Settings.from_env(), internals.asking(Task.REVIEW, JOB_DAG, session)
    only = tenants.only_shown(user, settings)
    seen = [at for at in waiting.items() if only is None or tenants.is_of(runs.known(at[0], session), only)]
    return [_waiting(job_id, lapses_at, settings, session) for job_id, lapses_at in seen[:MOST_REVIEWS]]


@router.post("/jobs/{job_id}/review", status_code=202, responses=documented(404, 409, 413, 415, 422))
async def decide(job_id: str, answer: ReviewAnswer, user: GetUserDep) -> JobDetail:
    """Approve the output of a job that waits for it, or reject it. It is decided once."""
    settings = Settings.from_env()
    await changes.decide(job_id, answer, user)
    return await run_in_threadpool(_shown, job_id, settings)


def _shown(job_id: str, settings: Settings) -> JobDetail:
    with internals.create_session() as session:
        return runs.detail(runs.known(job_id, session), settings, session)


def _waiting(job_id: str, lapses_at: datetime | None, settings: Settings, session: Session) -> WaitingReview:
    job = runs.detail(runs.known(job_id, session), settings, session)
    is_naive = lapses_at is not None and lapses_at.tzinfo is None
    return WaitingReview(
        job_id=job_id,
        source=job.source,
        model=job.model,
        created_by=job.created_by,
        reasons=job.verdict.reasons if job.verdict else (),
        pictures=reports.shown(job_id, settings),
        lapses_at=lapses_at.replace(tzinfo=UTC) if lapses_at and is_naive else lapses_at,
        lapses_to=settings.review_default,
    )
