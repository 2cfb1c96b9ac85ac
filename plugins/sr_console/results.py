"""The routes of what a job made: output, manifest, report and its pictures, and the job as it changes.

A page runs no script, whatever is in it. A video is sent in pieces, and from a bucket by the store itself.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from sr_console import internals, reports, runs
from sr_console.events import Watches
from sr_console.internals import Session, SessionDep, may_use_runs
from sr_console.problems import Refused, documented
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.api import JobDetail, ReportPicture
from sr_tasks.jobs.delivered import delivered
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.storage import transfer
from sr_tasks.storage.uris import LocalFile, S3Object

router = APIRouter(tags=["Results"], dependencies=[may_use_runs(JOB_DAG, "GET")])

_PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""The page holds its styles and pictures itself. The sandbox gives it an origin of its own: no cookie, no script."""
_PICTURE_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
_PLAIN = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_LINK_S = 900
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")
_PICTURES: dict[str, Any] = {"image/png": {}, "image/jpeg": {}}
_watches = Watches()
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
    "/jobs/{job_id}/output",
    response_class=Response,
    responses={
        200: {"description": "The whole file.", "content": {"video/*": {}}},
        206: {"description": "The part that the Range header asks for.", "content": {"video/*": {}}},
        307: {"description": "The address of the object, signed for 15 minutes."},
        **documented(404, 416),
    },
)
def show_output(job_id: str, request: Request, session: SessionDep) -> Response:
    """The finished video. Takes Range, so a player can jump and a download can go on."""
    settings = _of_known(job_id, session)
    with _not_there():
        location = delivered(job_id, runs.delivered(job_id, session), settings).output
        size = transfer.stat(location, settings).size_bytes
        if isinstance(location, S3Object):
            return RedirectResponse(transfer.signed_link(location, _LINK_S, settings))
    return _file(request, location, size)


@router.get(
    "/jobs/{job_id}/source",
    response_class=Response,
    responses={
        200: {"description": "The whole file.", "content": {"video/*": {}}},
        206: {"description": "The part that the Range header asks for.", "content": {"video/*": {}}},
        307: {"description": "The address of the object, signed for 15 minutes."},
        **documented(404, 416, 422),
    },
)
def show_source(job_id: str, request: Request, session: SessionDep) -> Response:
    """The video that the job looked at, as long as it is unchanged and the job's folder was not cleared."""
    settings = _of_known(job_id, session)
    with _not_there():
        location, size = reports.source(job_id, settings)
        if isinstance(location, S3Object):
            return RedirectResponse(transfer.signed_link(location, _LINK_S, settings))
    return _file(request, location, size)


@router.get(
    "/jobs/{job_id}/manifest",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}, **_UNCHANGED, **documented(404, 422)},
)
def show_manifest(job_id: str, request: Request, session: SessionDep) -> Response:
    """The record of the job: source, model, settings, figures, hashes."""
    settings = _of_known(job_id, session)
    with _not_there():
        found = delivered(job_id, runs.delivered(job_id, session), settings).content
    return _answer(request, json.dumps(found, ensure_ascii=False).encode(), "application/json", _PICTURE_POLICY)


@router.get(
    "/jobs/{job_id}/poster",
    response_class=Response,
    responses={200: {"content": _PICTURES}, **_UNCHANGED, **documented(404, 422)},
)
def show_poster(job_id: str, request: Request, session: SessionDep) -> Response:
    """A picture of the output: the poster beside it if the job was asked for one, else the first of the report."""
    settings = _of_known(job_id, session)
    with _not_there():
        record = runs.delivered(job_id, session)
        beside = reports.poster(delivered(job_id, record, settings), settings) if record else None
        shown = beside or reports.picture(job_id, 0, "output", settings)
    return _answer(request, shown.content, shown.media_type, _PICTURE_POLICY)


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `job` with a JobDetail whenever it changed, until it has ended; `gone` if it was "
            "deleted.",
            "content": {"text/event-stream": {}},
        },
        **documented(404, 429),
    },
)
async def watch_job(job_id: str) -> Response:
    """The job as it changes, as server-sent events."""
    settings = Settings.from_env()

    def look() -> JobDetail:
        with internals.create_session() as own:
            return runs.detail(runs.known(job_id, own), settings, own)

    await run_in_threadpool(look)
    _watches.require_room()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_watches.events(job_id, look), media_type="text/event-stream", headers=headers)


@router.get("/jobs/{job_id}/pictures", responses=documented(404, 422))
def list_pictures(job_id: str, session: SessionDep) -> tuple[ReportPicture, ...]:
    """Which pictures the report of a job has; none before it was measured, or once its folder was cleared."""
    return reports.shown(job_id, _of_known(job_id, session))


@router.get(
    "/jobs/{job_id}/pictures/{number}/{view}",
    response_class=Response,
    responses={200: {"content": _PICTURES}, **_UNCHANGED, **documented(404, 422)},
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


def _file(request: Request, location: LocalFile, size: int) -> Response:
    _check_range(request, size)
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": _PICTURE_POLICY, **_PLAIN}
    return FileResponse(location.path, headers=headers, filename=location.name, content_disposition_type="inline")


def _check_range(request: Request, size: int) -> None:
    """Refuse a part that begins past the end; forget a Range header that is none, as HTTP says."""
    asked = request.headers.get("range")
    if asked is None:
        return
    part = _RANGE.fullmatch(asked)
    if part is None or (part[2] and int(part[2]) < int(part[1])):
        request.scope["headers"] = [(name, value) for name, value in request.scope["headers"] if name != b"range"]
    elif int(part[1]) >= size:
        raise Refused(
            416,
            "RANGE_NOT_SATISFIABLE",
            f"The output has {size} bytes, and none from {part[1]} on.",
            "Ask for a part of it, or for the whole file.",
            Content_Range=f"bytes */{size}",
        )


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
        **_PLAIN,
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
