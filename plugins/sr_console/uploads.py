"""The routes of uploads: the tus protocol, version 1.0.0, with creation and termination.

A file goes to disk as it comes, and goes on where it was after any break.
"""

import base64
import binascii
import shutil
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from sr_console import tenants
from sr_console.internals import GetUserDep, may_use_runs
from sr_console.problems import Refused, documented, not_found
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs import received
from sr_tasks.jobs.api import PREFIX, UploadDetail
from sr_tasks.jobs.received import Upload
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.storage import failures
from sr_tasks.storage.locks import locked
from sr_tasks.storage.uris import LocalFile

router = APIRouter(tags=["Uploads"], dependencies=[may_use_runs(JOB_DAG, "POST")])

_VERSION = "1.0.0"
_TUS = {"Tus-Resumable": _VERSION, "Cache-Control": "no-store"}


@router.options("/uploads", status_code=204, response_class=Response, responses=documented())
def describe_uploads() -> Response:
    """What this server takes, as the tus protocol asks for it."""
    about = {
        "Tus-Version": _VERSION,
        "Tus-Extension": "creation,termination",
        "Tus-Max-Size": str(Settings.from_env().max_source_bytes),
    }
    return Response(status_code=204, headers={**_TUS, **about})


@router.post("/uploads", status_code=201, responses=documented(404, 413, 415, 422))
def begin_upload(
    user: GetUserDep,
    response: Response,
    upload_length: Annotated[int, Header(ge=0, le=1 << 50)],
    upload_metadata: Annotated[str, Header(max_length=4096)],
) -> UploadDetail:
    """Begin an upload, which goes to `Location`. `Upload-Metadata` is `filename` and the file's name in base64."""
    settings = Settings.from_env()
    upload = received.begin(_file_name(upload_metadata), upload_length, user.get_name(), settings)
    response.headers.update({**_TUS, "Location": f"{PREFIX}/uploads/{upload.id}"})
    return _detail(upload, settings)


@router.head("/uploads/{upload_id}", response_class=Response, responses=documented(404))
def ask_upload(upload_id: str, user: GetUserDep) -> Response:
    """How far an upload has come: `Upload-Offset` of `Upload-Length`."""
    settings = Settings.from_env()
    return Response(status_code=200, headers=_progress(_own(upload_id, user, settings), settings))


@router.get("/uploads/{upload_id}", responses=documented(404))
def show_upload(upload_id: str, user: GetUserDep) -> UploadDetail:
    """An upload, with the address to name as `source` once it is whole."""
    settings = Settings.from_env()
    return _detail(_own(upload_id, user, settings), settings)


@router.patch(
    "/uploads/{upload_id}",
    status_code=204,
    response_class=Response,
    responses=documented(404, 409, 413, 415, 422),
    openapi_extra={"requestBody": {"content": {"application/offset+octet-stream": {}}, "required": True}},
)
async def continue_upload(
    upload_id: str, request: Request, user: GetUserDep, upload_offset: Annotated[int, Header(ge=0)]
) -> Response:
    """Send the bytes from `Upload-Offset` on, as many as there are or a part of them."""
    settings = Settings.from_env()
    upload = await run_in_threadpool(_own, upload_id, user, settings)
    with locked(upload.folder(settings) / ".lock", wait=False) as is_ours:
        if not is_ours:
            raise Refused(409, "UPLOAD_BUSY", "Another connection sends this file.", "End that one, or wait for it.")
        await _append(upload, upload_offset, request, settings)
        await run_in_threadpool(received.settle, upload, settings)
    return Response(status_code=204, headers=_progress(upload, settings))


@router.delete(
    "/uploads/{upload_id}", status_code=204, response_class=Response, responses=documented(404, 409, 413, 415)
)
def delete_upload(upload_id: str, user: GetUserDep) -> Response:
    """Forget an upload, with its file and what lies beside it."""
    settings = Settings.from_env()
    folder = _own(upload_id, user, settings).folder(settings)
    with locked(folder / ".lock", wait=False) as is_ours, failures.writing(folder):
        if not is_ours:
            raise Refused(409, "UPLOAD_BUSY", "A connection sends this file.", "End that one first.")
        shutil.rmtree(folder)
    return Response(status_code=204, headers=_TUS)


async def _append(upload: Upload, offset: int, request: Request, settings: Settings) -> None:
    """Write the body as it comes. What has come stays if the connection breaks."""
    have = await run_in_threadpool(upload.received_bytes, settings)
    if offset != have:
        raise Refused(409, "WRONG_OFFSET", f"The upload holds {have} bytes, not {offset}.", "Go on from there.")
    if have == upload.size_bytes:
        return
    with failures.writing(upload.name), _opened(upload.partial(settings)) as file:
        try:
            async for block in request.stream():
                have += len(block)
                if have > upload.size_bytes:
                    raise Refused(
                        413,
                        "CONTENT_TOO_LARGE",
                        f"More bytes came than the {upload.size_bytes} that were announced.",
                        "Begin the upload again with the right length.",
                    )
                await run_in_threadpool(file.write, block)
        except ClientDisconnect:
            return


def _opened(path: Path) -> Any:
    return path.open("ab", buffering=0)


def _own(upload_id: str, user: Any, settings: Settings) -> Upload:
    """The upload, for who began it and for operators; to others it is not there."""
    upload = received.find(upload_id, settings)
    if upload.user != user.get_name() and not tenants.is_operator(user):
        raise not_found(f"There is no upload {upload_id!r}.", "Begin one with POST /uploads.")
    return upload


def _progress(upload: Upload, settings: Settings) -> dict[str, str]:
    return {
        **_TUS,
        "Upload-Offset": str(upload.received_bytes(settings)),
        "Upload-Length": str(upload.size_bytes),
    }


def _detail(upload: Upload, settings: Settings) -> UploadDetail:
    return UploadDetail(
        id=upload.id,
        name=upload.name,
        size_bytes=upload.size_bytes,
        received_bytes=upload.received_bytes(settings),
        source=LocalFile(upload.path(settings)).uri if upload.is_whole(settings) else None,
    )


def _file_name(metadata: str) -> str:
    """Raises UsageError if the metadata has none."""
    pairs = dict(part.strip().partition(" ")[::2] for part in metadata.split(","))
    try:
        return base64.b64decode(pairs["filename"], validate=True).decode()
    except (KeyError, binascii.Error, UnicodeDecodeError) as exc:
        raise UsageError(
            "Upload-Metadata has no file name.", hint="Send `filename` and the name in base64 behind it."
        ) from exc
