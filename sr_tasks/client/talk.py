"""What the clients say to the server, and in which order, whoever sends it. Opens no connection."""

import base64
import os
import secrets
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from sr_tasks.errors import AirflowUnavailable, SrError, known_errors
from sr_tasks.jobs.api import PREFIX, JobDetail, JobRequest, Problem, UploadDetail
from sr_tasks.jobs.status import Status

_Model = TypeVar("_Model", bound=BaseModel)
Answer = TypeVar("Answer")
Steps = Generator[httpx.Request | float, Any, Answer]
"""What both clients do, once: each request that is yielded is sent, each number of seconds slept. What comes back is
the response, or the TransportError."""

TIMEOUT_S: Final = 60.0
_TRIES: Final = 6
_LONGEST_PAUSE_S: Final = 60.0
POLL_S: Final = 2.0
PIECE_BYTES: Final = 8 << 20
_UPLOADS: Final = f"{PREFIX}/uploads"
_BUSY: Final = frozenset({429, 502, 503, 504})
_ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED})


class ApiRefused(Exception):
    """The server refused a call for a reason that no job fails for. `code` is that of its problem, or empty."""

    def __init__(self, message: str, *, hint: str = "", status: int, code: str = "") -> None:
        super().__init__(f"{message} {hint}".rstrip())
        self.message, self.hint, self.status, self.code = message, hint, status, code


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call: what is sent, the same for both clients."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        body: dict[str, Any] = {"content": self.content} if self.json is None else {"json": self.json}
        params = {name: value for name, value in self.params.items() if value is not None}
        return http.build_request(self.method, self.path, params=params, headers=dict(self.headers), **body)


def job_call(
    job_id: str, what: str = "", *, method: str = "GET", headers: Mapping[str, str] | None = None, **params: Any
) -> Call:
    path = f"{PREFIX}/jobs/{quote(job_id, safe='')}{what}"
    return Call(method=method, path=path, params=params, headers=headers or {})


def _submission(source: str, key: str, fields: Mapping[str, Any]) -> Call:
    """Repeated without harm: under its key the same request gives the same job. Raises UsageError."""
    request = JobRequest(source=source, **fields)
    headers = {} if request.id else {"Idempotency-Key": key or secrets.token_hex(16)}
    body = request.model_dump(mode="json", exclude_unset=True)
    return Call(method="POST", path=f"{PREFIX}/jobs", json=body, headers=headers)


def list_call(filters: Mapping[str, Any], cursor: str | None) -> Call:
    return Call(method="GET", path=f"{PREFIX}/jobs", params={**filters, "cursor": cursor or None})


def _read(answer: httpx.Response, kind: type[_Model]) -> _Model:
    return kind.model_validate_json(answer.content)


def _pause_s(answer: httpx.Response | httpx.TransportError, attempt: int) -> float:
    told = "" if isinstance(answer, httpx.TransportError) else answer.headers.get("retry-after", "")
    return min(float(told) if told.isdigit() else 0.5 * 2**attempt, _LONGEST_PAUSE_S)


def _refusal(answer: httpx.Response) -> SrError | ApiRefused:
    """The error that an answer stands for."""
    status, request = answer.status_code, answer.request
    try:
        problem = _read(answer, Problem)
    except ValidationError:
        return ApiRefused(f"The server answered {status} to {request.method} {request.url}.", status=status)
    kind = known_errors().get(problem.code)
    if kind is not None:
        return kind(problem.detail, hint=problem.hint)
    return ApiRefused(problem.detail, hint=problem.hint, status=status, code=problem.code)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A job that is COMPLETED."""

    job: JobDetail

    @property
    def output(self) -> str:
        """The address that the finished video was delivered to."""
        return self.job.delivery.output if self.job.delivery else ""


class Talk:
    """What is said to the server, whoever sends it."""

    def __init__(self, http: httpx.Client | httpx.AsyncClient, token: str, username: str, password: str) -> None:
        self._http = http
        login = {"username": username, "password": password}
        self._login = Call(method="POST", path="/auth/token", json=login) if username else None
        if token:
            http.headers["Authorization"] = f"Bearer {token}"

    def send(self, call: Call) -> Steps[httpx.Response]:
        """The answer, once it is a success. Raises what the server refuses with, and AirflowUnavailable."""
        answer: httpx.Response | httpx.TransportError
        for attempt in range(_TRIES):
            answer = yield call.request(self._http)
            if attempt == _TRIES - 1:
                break
            if isinstance(answer, httpx.TransportError) or answer.status_code in _BUSY:
                yield _pause_s(answer, attempt)
            elif answer.status_code == httpx.codes.UNAUTHORIZED and self._login is not None:
                yield from self._sign_in()
            else:
                break
        if isinstance(answer, httpx.TransportError):
            raise AirflowUnavailable(f"{self._http.base_url} does not answer: {answer}.") from answer
        if not answer.is_success:
            raise _refusal(answer)
        return answer

    def _sign_in(self) -> Steps[None]:
        login, self._login = self._login, None  # one that is refused is not tried again
        if login is not None:
            token = yield from self.send(login)
            self._login = login
            self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def read(self, call: Call, kind: type[_Model]) -> Steps[_Model]:
        return _read((yield from self.send(call)), kind)

    def wait(self, job_id: str) -> Steps[JobDetail]:
        while True:
            job = yield from self.read(job_call(job_id), JobDetail)
            if job.status in _ENDED:
                return job
            yield POLL_S

    def submit(self, source: str | Path, key: str, fields: Mapping[str, Any]) -> Steps[JobDetail]:
        address = (yield from self.upload(source)) if isinstance(source, Path) else source
        return (yield from self.read(_submission(address, key, fields), JobDetail))

    def upload(self, path: Path) -> Steps[str]:
        """The address of the file on the server, once it is there."""
        size, name = path.stat().st_size, base64.b64encode(path.name.encode()).decode()
        announced = {"Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
        begun = yield from self.read(Call(method="POST", path=_UPLOADS, headers=announced), UploadDetail)
        where = f"{_UPLOADS}/{begun.id}"
        with path.open("rb") as file:
            while (have := (yield from self._received(where))) < size:
                file.seek(have)
                headers = {"Upload-Offset": str(have), "Content-Type": "application/offset+octet-stream"}
                piece = Call(method="PATCH", path=where, headers=headers, content=file.read(PIECE_BYTES))
                try:
                    yield from self.send(piece)
                except ApiRefused as exc:
                    # A piece that broke off and was sent again: the server says where it goes on.
                    if exc.code != "WRONG_OFFSET":
                        raise
        whole = yield from self.read(Call(method="GET", path=where), UploadDetail)
        return whole.source or ""

    def _received(self, where: str) -> Steps[int]:
        answer = yield from self.send(Call(method="HEAD", path=where))
        return int(answer.headers["upload-offset"])

    def enhance(self, source: str | Path, key: str, fields: Mapping[str, Any]) -> Steps[Result]:
        job = yield from self.submit(source, key, fields)
        job = yield from self.wait(job.job_id)
        if job.status is Status.FAILED:
            raise job.error.error() if job.error else SrError(f"The job {job.job_id} failed.")
        return Result(job=job)

    def download(self, job: Result | str, path: str | Path) -> Steps[Path]:
        """In pieces, so that one that broke off goes on where it was."""
        job_id = job.job.job_id if isinstance(job, Result) else job
        target = Path(path)
        partial = target.with_name(f".{target.name}.{job_id}.partial")
        have = max(0, partial.stat().st_size - 1) if partial.is_file() else 0
        total = have + 1  # until the server says it
        with partial.open("ab") as file:
            file.truncate(have)
            while have < total:
                part = {"Range": f"bytes={have}-{have + PIECE_BYTES - 1}"}
                answer = yield from self.send(job_call(job_id, "/output", headers=part))
                if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                    file.truncate(0)  # a server without ranges
                    have, total = 0, len(answer.content)
                else:
                    total = int(answer.headers["content-range"].rpartition("/")[2])
                file.write(answer.content)
                file.flush()
                have += len(answer.content)
        os.replace(partial, target)
        return target
