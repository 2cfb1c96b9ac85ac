"""What a request must be before anything reads it: from our own pages or with a token, of a kind and a size that is
taken here. An ASGI application around another one."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from airflow.sdk.configuration import conf
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from sr_console.problems import Refused, answered

MAX_BODY_BYTES: Final = 64 << 10
"""Of a request in JSON. A JobSpec with the longest addresses has less than 20 KiB."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Asgi = Callable[[Any, Any, Any], Any]


class Guard:
    """Refuses with 403 a change that a browser sends on behalf of another site, with 413 a body that is too large, and
    with 415 one that is not JSON, or not a piece of an upload (PATCH)."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] in _SAFE:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = scope["method"] == "PATCH"  # the routes of uploads limit what they write
        try:
            _check_site(headers)
            _check_body(headers, is_upload=is_upload)
        except Refused as refused:
            await answered(refused.problem)(scope, receive, send)
            return
        await self._app(scope, receive if is_upload else _limited(receive), send)


def _check_site(headers: Headers) -> None:
    """A browser attaches the cookie of the login by itself, and says for which site. A token is attached by nobody but
    who holds it."""
    has_token = headers.get("authorization", "").lower().startswith("bearer ")
    own = {headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    origin = headers.get("origin")
    if origin is None and (has_token or "cookie" not in headers):
        return
    if not origin or urlsplit(origin).netloc not in own - {""}:
        raise Refused(
            403,
            "CROSS_SITE",
            "The change was not asked for by a page of this server.",
            "Send a token in the Authorization header and no Origin, or call from a page of this server.",
        )


def _check_body(headers: Headers, *, is_upload: bool) -> None:
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BODY_BYTES and not is_upload:
        raise _too_large()
    has_body = length != "0" or "transfer-encoding" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    taken = "application/offset+octet-stream" if is_upload else "application/json"
    if has_body and kind != taken:
        raise Refused(
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            f"The body is {kind or 'of no stated kind'}, and only {taken} is taken here.",
            f"Send `Content-Type: {taken}`.",
        )


def _limited(receive: Callable[[], Any]) -> Callable[[], Any]:
    """The same messages until the body is too large, whatever its length was said to be."""
    seen = 0

    async def limited() -> Any:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            problem = _too_large().problem
            raise HTTPException(problem.status, problem.detail)
        return message

    return limited


def _too_large() -> Refused:
    return Refused(
        413,
        "CONTENT_TOO_LARGE",
        f"The body has more than {MAX_BODY_BYTES} bytes.",
        "A request names files by their address and holds none.",
    )
