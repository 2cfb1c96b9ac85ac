"""The routes below `/sr`: a job, its report and its pictures, for who may read its run. Answers GET and nothing else.

Loaded by the API server at the first request. A page is shown without scripts, whatever is in it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI, HTTPException, Request, Response

from sr_console import reports
from sr_console.internals import Session, SessionDep, reader_of_runs
from sr_console.runs import delivered_report, is_job, run_facts
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.jobs.view import JobView

_PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""The page holds its styles and pictures itself. The sandbox gives it an origin of its own: no cookie, no script."""
_PICTURE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

app = FastAPI(
    title="Video Super Resolution Enhancer",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[reader_of_runs(JOB_DAG)],
)


@app.get("/jobs/{job_id}")
def job(job_id: str, request: Request, session: SessionDep) -> Response:
    """Where the job stands and what came of it, as JSON: the fields of `sr_tasks.jobs.view.JobView`."""
    settings = _known_job(job_id, session)
    with _answered():
        view = JobView.of(JobFolder(settings.workdir, job_id), run_facts(job_id, session))
    return _answer(request, view.model_dump_json().encode(), "application/json", _PICTURE_POLICY)


@app.get("/jobs/{job_id}/report")
def report(job_id: str, request: Request, session: SessionDep) -> Response:
    """The report page: from the job's folder, or once that was cleared from beside the output."""
    settings = _known_job(job_id, session)
    with _answered():
        page = reports.in_folder(job_id, settings)
        if page is None:
            page = reports.delivered(delivered_report(job_id, session), settings)
    return _answer(request, page, "text/html; charset=utf-8", _PAGE_POLICY)


@app.get("/jobs/{job_id}/pictures/{number}/{view}")
def picture(job_id: str, number: int, view: reports.View, request: Request, session: SessionDep) -> Response:
    """One picture of the report: `number` counts its rows from 0, `view` is a column."""
    settings = _known_job(job_id, session)
    with _answered():
        shown = reports.picture(job_id, number, view, settings)
    return _answer(request, shown.content, shown.media_type, _PICTURE_POLICY)


def _known_job(job_id: str, session: Session) -> Settings:
    """A folder may hold what no run of Airflow left: who was let in because of runs has nothing to see there."""
    if not is_job(job_id, session):
        raise HTTPException(404, f"Airflow knows no run {job_id!r} of {JOB_DAG}.")
    return Settings.from_env()


@contextmanager
def _answered() -> Iterator[None]:
    """Errors of the library as answers: what may pass later is 503, and what cannot be shown is not there."""
    try:
        yield
    except SrError as exc:
        raise HTTPException(503 if exc.retryable else 404, str(exc)) from exc


def _answer(request: Request, content: bytes, media_type: str, policy: str) -> Response:
    """Kept by the reader's own browser alone, which asks each time: a report changes with the decision."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
