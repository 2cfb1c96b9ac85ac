"""Fetches the weight file of a version from MLflow's model registry, by its REST API. Never writes to it."""

import itertools
import re
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import (
    InputNotFound,
    InputTooLarge,
    InputUnreadable,
    ModelInvalid,
    StorageUnavailable,
    UriNotAllowed,
    UsageError,
)
from sr_tasks.storage import uris
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.failures import writing

_REFERENCE = re.compile(r"mlflow:/{1,3}([^/@]+)/([0-9]+)")
_WEIGHTS = frozenset({".pth", ".pt", ".ckpt", ".safetensors", ".onnx"})
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_MAX_REPLY_BYTES = 8 << 20
_MAX_FOLDERS = 64
_MAX_FILES = 10_000
_API = "/api/2.0/mlflow"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
_HINT = "Write mlflow:/NAME/VERSION, with the version's number."


def is_reference(text: str) -> bool:
    return text.lower().startswith("mlflow:")


def fetch(reference: str, folder: Path, settings: Settings) -> str:
    """Where the weight file of `mlflow:/name/version` can be had: a file in `folder`, or the path or `s3://` URI that
    MLflow says it is kept under, which the caller has to check.

    Raises UsageError for a reference or a setting that cannot be, InputNotFound, InputUnreadable, UriNotAllowed,
    ModelInvalid if there is not exactly one weight file, InputTooLarge, StorageUnavailable and DiskFull.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UsageError(f"{reference!r} names no version in MLflow.", hint=_HINT)
    name, version = urllib.parse.unquote(match[1]), match[2]
    with _client(settings) as client:
        root = _root(client, name, version)
        if not root.startswith("mlflow-artifacts:"):
            return _kept_elsewhere(root, reference, settings)
        top = urllib.parse.unquote(urllib.parse.urlsplit(root).path).strip("/")
        path, size = _single(client, top, reference)
        if size > settings.max_weights_bytes:
            raise _too_large(path, size, settings)
        target = folder / f"mlflow{PurePosixPath(path).suffix.lower()}"
        _download(client, path, target, settings)
        logger.info("fetched {} of {} from MLflow", PurePosixPath(path).name, reference)
        return str(target)


def _client(settings: Settings) -> httpx.Client:
    address = settings.mlflow_tracking_uri
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as exc:
        raise _no_server(settings) from exc
    if url.scheme not in ("http", "https") or not url.host:
        raise _no_server(settings)
    # Not following a redirect keeps the answer of the server that was configured.
    return httpx.Client(base_url=url, timeout=_TIMEOUT, follow_redirects=False)


def _root(client: httpx.Client, name: str, version: str) -> str:
    """The folder of artifacts of a version, as a URI. Since MLflow 3 a version may point to a logged model."""
    reply = _json(client, f"{_API}/model-versions/get-download-uri", {"name": name, "version": version})
    uri = str(reply.get("artifact_uri", ""))
    if uri.startswith("models:/"):
        model_id = uri.removeprefix("models:/").strip("/")
        reply = _json(client, f"{_API}/logged-models/{urllib.parse.quote(model_id, safe='')}", {})
        uri = str(_dig(reply, "model", "info", "artifact_uri"))
    if uri.startswith("runs:/"):
        run_id, _, path = uri.removeprefix("runs:/").strip("/").partition("/")
        reply = _json(client, f"{_API}/runs/get", {"run_id": run_id})
        uri = f"{_dig(reply, 'run', 'info', 'artifact_uri')}/{path}"
    return uri


def _kept_elsewhere(root: str, reference: str, settings: Settings) -> str:
    scheme = urllib.parse.urlsplit(root).scheme.lower()
    if scheme == "s3" and PurePosixPath(root).suffix.lower() in _WEIGHTS:
        return root
    if scheme in ("file", ""):
        folder = Path(urllib.parse.unquote(urllib.parse.urlsplit(root).path))
        uris.parse(str(folder / "any"), settings)  # not even a list of names from where nothing may be read
        files = [path for path in _local_files(folder) if path.suffix.lower() in _WEIGHTS]
        return str(_only([str(path) for path in files], reference))
    raise UriNotAllowed(
        f"MLflow keeps {reference} under {root!r}, which cannot be read from here.",
        hint="Let the server proxy its artifacts (mlflow server --serve-artifacts), or bring the file itself.",
    )


def _local_files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    elif folder.is_dir():
        paths = itertools.islice(folder.rglob("*"), _MAX_FILES)
        yield from (path for path in paths if path.is_file() and not path.is_symlink())


def _single(client: httpx.Client, top: str, reference: str) -> tuple[str, int]:
    """Path and size of the only weight file in a folder of the artifact store."""
    found: dict[str, int] = {}
    folders = [top]
    for _ in range(_MAX_FOLDERS):
        if not folders:
            break
        folder = folders.pop(0)
        for entry in _json(client, _ARTIFACTS, {"path": folder}).get("files", []):
            name = PurePosixPath(str(_dig(entry, "path"))).name
            path = f"{folder}/{name}"
            if entry.get("is_dir"):
                folders.append(path)
            elif PurePosixPath(name).suffix.lower() in _WEIGHTS:
                found[path] = int(entry.get("file_size") or 0)
    path = _only(sorted(found), reference)
    return path, found[path]


def _only(paths: list[str], reference: str) -> str:
    if len(paths) != 1:
        names = ", ".join(PurePosixPath(path).name for path in paths[:5])
        raise ModelInvalid(
            f"{reference} has {len(paths)} weight files{': ' if names else ''}{names}; one is needed.",
            hint=f"A version holds one file of {', '.join(sorted(_WEIGHTS))}.",
        )
    return paths[0]


def _download(client: httpx.Client, path: str, target: Path, settings: Settings) -> None:
    url = f"{_ARTIFACTS}/{urllib.parse.quote(path)}"
    with _translated(client), writing(target), client.stream("GET", url) as reply:
        _require_success(reply, path)
        received = 0
        with replacing(target) as partial, partial.open("wb") as file:
            for block in reply.iter_bytes(1 << 20):
                received += len(block)
                if received > settings.max_weights_bytes:
                    raise _too_large(path, received, settings)
                file.write(block)


def _json(client: httpx.Client, path: str, query: dict[str, str]) -> dict[str, Any]:
    with _translated(client), client.stream("GET", path, params=query) as reply:
        body = b""
        for block in reply.iter_bytes():
            body += block
            if len(body) > _MAX_REPLY_BYTES:
                raise _strange(client, f"more than {_MAX_REPLY_BYTES} bytes")
        _require_success(reply, query.get("name") or query.get("path") or path)
        decoded = httpx.Response(200, content=body).json()
        if not isinstance(decoded, dict):
            raise _strange(client, type(decoded).__name__)
        return decoded


def _dig(reply: Any, *names: str) -> Any:
    for name in names:
        if not isinstance(reply, dict) or name not in reply:
            raise StorageUnavailable(
                f"The answer of MLflow has no {'.'.join(names)}.", hint="Known are MLflow 2 and 3: check the server."
            )
        reply = reply[name]
    return reply


def _require_success(reply: httpx.Response, what: str) -> None:
    status = reply.status_code
    if status == 200:
        return
    if status == 404:
        raise InputNotFound(f"MLflow has no {what!r}.", hint="Check name and version.")
    if status in (401, 403):
        raise InputUnreadable(
            f"MLflow does not let {what!r} be read ({status}).", hint="Check the user of the address."
        )
    raise StorageUnavailable(f"MLflow answers {status} when asked for {what!r}.", hint="Look at the server's log.")


@contextmanager
def _translated(client: httpx.Client) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as exc:
        raise StorageUnavailable(
            f"MLflow at {client.base_url.host} does not answer: {type(exc).__name__}.",
            hint="Check SR_MLFLOW_TRACKING_URI and that the server runs.",
        ) from exc
    except ValueError as exc:
        raise _strange(client, "no JSON") from exc


def _strange(client: httpx.Client, what: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"What answers at {client.base_url.host} is no MLflow: {what}.", hint="Check SR_MLFLOW_TRACKING_URI."
    )


def _too_large(path: str, size: int, settings: Settings) -> InputTooLarge:
    return InputTooLarge(
        f"{PurePosixPath(path).name!r} has {size} bytes or more, allowed are {settings.max_weights_bytes}.",
        hint="Raise SR_MAX_WEIGHTS_BYTES if that is right.",
    )


def _no_server(settings: Settings) -> UsageError:
    address = settings.mlflow_tracking_uri
    what = "names no server (http or https)" if address else "is not set"
    return UsageError(f"SR_MLFLOW_TRACKING_URI {what}.", hint="An example: http://mlflow.example.com:5000.")
