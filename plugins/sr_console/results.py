"""The routes of what a job made: its report and the pictures in it. A page runs no script, whatever is in it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request, Response

from sr_console import reports, runs
from sr_console.internals import Session, SessionDep, may_use_runs
from sr_console.problems import Refused, documented
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.status import JOB_DAG

router = APIRouter(tags=["Results"], dependencies=[may_use_runs(JOB_DAG, "GET")])

_PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""The page holds its styles and pictures itself. The sandbox gives it an origin of its own: no cookie, no script."""
_PICTURE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The copy that the reader has is still right."}}


@router.get(
    "/jobs/{job_id}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **_UNCHANGED, **documented(404, 422)},
)
def show_report(job_id: str, request: Request, session: SessionDep) -> Response:
    """The report page: from the job's folder, or once that was cleared from beside the output."""
    settings = _of_known(job_id, session)
    with _not_there():
        page = reports.in_folder(job_id, settings)
        if page is None:
            page = reports.delivered(runs.delivered(job_id, session).get("report", ""), settings)
    return _answer(request, page, "text/html; charset=utf-8", _PAGE_POLICY)


@router.get(
    "/jobs/{job_id}/pictures/{number}/{view}",
    response_class=Response,
    responses={200: {"content": {"image/png": {}, "image/jpeg": {}}}, **_UNCHANGED, **documented(404, 422)},
)
def show_picture(job_id: str, number: int, view: reports.View, request: Request, session: SessionDep) -> Response:
    """One picture of the report: `number` counts its rows from 0, `view` is a column."""
    settings = _of_known(job_id, session)
    with _not_there():
        shown = reports.picture(job_id, number, view, settings)
    return _answer(request, shown.content, shown.media_type, _PICTURE_POLICY)


def _of_known(job_id: str, session: Session) -> Settings:
    runs.known(job_id, session)
    return Settings.from_env()


@contextmanager
def _not_there() -> Iterator[None]:
    """What cannot be shown is not there, unless it may be later."""
    try:
        yield
    except SrError as exc:
        if exc.retryable:
            raise
        raise Refused(404, exc.code, exc.message, exc.hint) from exc


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
