"""Errors as answers: every one is problem+json with a code and a hint, whatever raised it. Knows no route."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from sr_tasks.errors import (
    DiskTooSmall,
    InputNotFound,
    InputRefused,
    InputTooLarge,
    JobRunning,
    ModelUnknown,
    SrError,
    TargetExists,
    UsageError,
)
from sr_tasks.jobs.api import FieldError, Problem
from sr_tasks.telemetry.redaction import redacted

log = logging.getLogger(__name__)

_MEDIA_TYPE = "application/problem+json"
_SCHEMAS = "#/components/schemas/"
_RETRY_AFTER_S = "5"
_HINTS = {
    401: "Get a token with POST /auth/token and send it as `Authorization: Bearer TOKEN`.",
    403: "Ask who administers Airflow for a role that may do this.",
    404: "See /enhance/api/v1/openapi.json for what there is.",
    413: "A request names files by their address and holds none.",
    405: "See /enhance/api/v1/openapi.json for what can be done there.",
}
_CODES = {413: "CONTENT_TOO_LARGE"}
"""Where HTTP's own word changed."""
_ABOUT = {
    401: "Nobody is logged in.",
    403: "The user may not do this.",
    404: "There is no such job, or no such file of it.",
    409: "The job is not in a state for this, or the id stands for another request.",
    413: "The body is too large.",
    415: "The body is not of a kind that is taken here.",
    416: "The file has no such part.",
    422: "The request is not accepted.",
    429: "Too many jobs wait already.",
    500: "A defect of the program.",
    503: "Airflow or the storage does not answer just now.",
}


class Refused(Exception):
    """An answer that is an error of HTTP, with a code of its own."""

    def __init__(self, status: int, code: str, detail: str, hint: str, **headers: str) -> None:
        super().__init__(detail)
        self.problem = Problem(
            title=HTTPStatus(status).phrase, status=status, detail=redacted(detail), code=code, hint=redacted(hint)
        )
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def not_found(detail: str, hint: str) -> Refused:
    return Refused(404, "NOT_FOUND", detail, hint)


def documented(*statuses: int, only: bool = False) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for OpenAPI. Every route may answer 401, 403, 500 and 503 as well, unless it is `only`
    these."""
    schema = {_MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}
    wanted = sorted(statuses if only else {401, 403, 500, 503, *statuses})
    return {status: {"description": _ABOUT[status], "content": schema} for status in wanted}


def answered(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    if problem.status in (429, 503):
        headers.setdefault("Retry-After", _RETRY_AFTER_S)
    return Response(problem.model_dump_json(), problem.status, headers=headers, media_type=_MEDIA_TYPE)


def status_of(error: SrError) -> int:
    """What an error of the library is over HTTP."""
    if error.retryable:
        return 503
    if isinstance(error, InputNotFound | ModelUnknown):
        return 404
    if isinstance(error, JobRunning | TargetExists):
        return 409
    if isinstance(error, InputTooLarge | DiskTooSmall):
        return 413
    return 422 if isinstance(error, UsageError | InputRefused) else 500


def install(app: FastAPI) -> None:
    """Let `app` answer every error this way, and say so in its OpenAPI document."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(SrError, _of_the_library)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unexpected)
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        schemas = document["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
        schemas |= problem.pop("$defs", {}) | {"Problem": problem}
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in document["paths"].values():
            for operation in operations.values():
                answers = operation["responses"]
                if "application/json" in answers.get("422", {}).get("content", {}):
                    del answers["422"]  # FastAPI's own, which no route gives
        return document

    app.openapi = described  # type: ignore[method-assign]


def _refused(request: Request, exc: Exception) -> Response:
    refused = exc if isinstance(exc, Refused) else Refused(500, SrError.code, str(exc), "")
    return answered(refused.problem, refused.headers)


def _of_the_library(request: Request, exc: Exception) -> Response:
    error = exc if isinstance(exc, SrError) else SrError(str(exc))
    status = status_of(error)
    if status == 500:
        log.error("%s %s: %s", request.method, request.url.path, redacted(str(error)))
    return answered(
        Problem(
            title=HTTPStatus(status).phrase,
            status=status,
            detail=redacted(error.message),
            code=error.code,
            hint=redacted(error.hint),
        )
    )


def _not_valid(request: Request, exc: Exception) -> Response:
    found = exc.errors() if isinstance(exc, RequestValidationError) else []
    errors = [
        FieldError(
            field=".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0]),
            message=str(error["msg"]).removeprefix("Value error, "),
        )
        for error in found
    ]
    detail = f"{errors[0].field} is not accepted: {errors[0].message}." if errors else "The request is not accepted."
    return answered(
        Problem(
            title=HTTPStatus.UNPROCESSABLE_ENTITY.phrase,
            status=422,
            detail=detail.encode(errors="replace").decode(),
            code=UsageError.code,
            hint="See /enhance/api/v1/openapi.json for the fields and what they take.",
            errors=errors,
        )
    )


def _of_http(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    if status == 400:  # FastAPI's, for a body that is no text
        return _not_valid(request, RequestValidationError([{"loc": ("body",), "msg": "It is not JSON in UTF-8"}]))
    detail = str(exc.detail) if isinstance(exc, HTTPException) else str(exc)
    title = HTTPStatus(status).phrase
    problem = Problem(
        title=title,
        status=status,
        detail=detail if detail.endswith(".") else f"{detail}.",
        code=_CODES.get(status, title.upper().replace(" ", "_").replace("-", "_")),
        hint=_HINTS.get(status, ""),
    )
    return answered(problem, dict(exc.headers or {}) if isinstance(exc, HTTPException) else None)


def _unexpected(request: Request, exc: Exception) -> Response:
    """Starlette logs the traceback itself once this was answered."""
    return answered(
        Problem(
            title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
            status=500,
            detail="The server met something unexpected.",
            code=SrError.code,
            hint="This is a defect of the program: the API server's log has the traceback.",
        )
    )
