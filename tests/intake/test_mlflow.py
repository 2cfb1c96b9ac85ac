"""Models from MLflow's registry: from a real server, and from servers that answer what they should not."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest

from sr_tasks.config import REPOSITORY
from sr_tasks.errors import (
    InputNotFound,
    InputTooLarge,
    InputUnreadable,
    ModelInvalid,
    SrError,
    StorageUnavailable,
    UriNotAllowed,
    UsageError,
)
from sr_tasks.intake.add import add_model
from sr_tasks.intake.request import AddRequest
from sr_tasks.registry.registry import ModelEntry, Registry
from tests.intake.brought import convolutional, picture, run, settings_of
from tests.ports import free_port

MLFLOW = "mlflow==3.17.2"
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"

Reply = tuple[int, bytes]


def added_from(address: str, tmp_path: Path, reference: str = "mlflow:/my%20net/1", **changes: object) -> ModelEntry:
    settings = settings_of(tmp_path, mlflow_tracking_uri=address, **changes)
    return add_model(reference, AddRequest(name="brought", licence="MIT"), Registry.of(settings), settings)


@contextmanager
def answering(answer: Callable[[str, dict[str, str]], Reply]) -> Iterator[str]:
    """The address of a server that gives these answers to paths and queries."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            path, _, query = self.path.partition("?")
            status, body = answer(urllib.parse.unquote(path), dict(urllib.parse.parse_qsl(query)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Tests need no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def like_mlflow(files: dict[str, bytes], uri: str = "mlflow-artifacts:/0/run/artifacts/model") -> Callable[..., Reply]:
    """Answers as documented: `files` are those below the version's folder."""

    def answer(path: str, query: dict[str, str]) -> Reply:
        if path == f"{API}/model-versions/get-download-uri":
            is_known = query == {"name": "my net", "version": "1"}
            return (200, json.dumps({"artifact_uri": uri}).encode()) if is_known else (404, b"{}")
        top = "0/run/artifacts/model"
        if path == ARTIFACTS:
            below = query["path"].removeprefix(top).strip("/")
            names = {name.removeprefix(below).strip("/") for name in files if name.startswith(below)}
            entries = [
                {"path": name.split("/")[0], "is_dir": "/" in name, "file_size": len(files.get(f"{below}{name}", b""))}
                for name in sorted(names)
            ]
            return 200, json.dumps({"files": entries}).encode()
        name = path.removeprefix(f"{ARTIFACTS}/{top}/")
        return (200, files[name]) if name in files else (404, b"{}")

    return answer


def test_the_one_weight_file_of_a_version_is_found_wherever_it_lies_in_it(tmp_path: Path) -> None:
    data = convolutional().SerializeToString()
    with answering(like_mlflow({"MLmodel": b"flavors:", "data/net.onnx": data})) as address:
        entry = added_from(address, tmp_path)
    assert entry.locate_original().read_bytes() == data
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"MLmodel": b"x"}, ModelInvalid, "has 0 weight files"),
        ({"a.pth": b"x", "b.onnx": b"x"}, ModelInvalid, "has 2 weight files: a.pth, b.onnx"),
        ({"a.pth": b"x" * 5000}, InputTooLarge, "5000 bytes"),
        ({"a.pth": b"<html>"}, ModelInvalid, "an HTML page"),
    ],
)
def test_a_version_without_a_usable_file_is_refused(
    tmp_path: Path, files: dict[str, bytes], error: type[SrError], words: str
) -> None:
    with answering(like_mlflow(files)) as address, pytest.raises(error, match=words):
        added_from(address, tmp_path, max_weights_bytes=4000)
    assert not (tmp_path / "models").exists()
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((404, b"{}"), InputNotFound),
        ((401, b""), InputUnreadable),
        ((500, b"oops"), StorageUnavailable),
        ((302, b""), StorageUnavailable),
        ((200, b"<html>"), StorageUnavailable),
        ((200, b"[]"), StorageUnavailable),
        ((200, b" " * (9 << 20)), StorageUnavailable),
        ((200, b'{"artifact_uri": "ftp://elsewhere/x"}'), UriNotAllowed),
        ((200, b'{"artifact_uri": "s3://secret/net.onnx"}'), UriNotAllowed),
        ((200, b'{"artifact_uri": "file:///etc"}'), ModelInvalid),
    ],
)
def test_answers_that_are_none_are_told_apart(tmp_path: Path, reply: Reply, error: type[SrError]) -> None:
    with answering(lambda path, query: reply) as address, pytest.raises(error):
        added_from(address, tmp_path, allowed_buckets=("mine",))


def test_a_path_that_a_server_names_is_held_to_the_allowed_folders(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "net.onnx").write_bytes(convolutional().SerializeToString())
    (tmp_path / "work").mkdir()
    uri = (tmp_path / "secret").as_uri()
    with answering(like_mlflow({}, uri)) as address, pytest.raises(UriNotAllowed):
        added_from(address, tmp_path, allowed_roots=(tmp_path / "work",))


@pytest.mark.parametrize("reference", ["mlflow:/net", "mlflow:/net/latest", "mlflow:/../1", "mlflow:/a/b/1"])
def test_references_and_addresses_that_cannot_be_are_refused(tmp_path: Path, reference: str) -> None:
    if reference == "mlflow:/../1":
        with answering(like_mlflow({})) as address, pytest.raises(InputNotFound):
            added_from(address, tmp_path, reference)
    else:
        with pytest.raises(UsageError, match="names no version"):
            added_from("http://127.0.0.1:9", tmp_path, reference)
    with pytest.raises(UsageError, match="is not set"):
        added_from("", tmp_path)
    with pytest.raises(UsageError, match="names no server"):
        added_from("file:///etc", tmp_path)
    with pytest.raises(StorageUnavailable):
        added_from("http://127.0.0.1:9", tmp_path)


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server, in an environment of its own that is kept between runs."""
    home = REPOSITORY / ".cache" / MLFLOW
    done = home / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "install", "--quiet", MLFLOW]
        installed = subprocess.run(pip, check=False, capture_output=True, text=True)
        if installed.returncode:
            pytest.skip(f"MLflow cannot be installed here: {installed.stderr[-300:]}")
        done.touch()
    store = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    command = [
        str(home / "bin" / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--artifacts-destination", str(store / "artifacts"),
    ]  # fmt: skip
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (store / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=env, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, server)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            if httpx.get(f"{address}/health", timeout=30).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not up yet
        if server.poll() is not None:
            break
        time.sleep(0.25)
    raise RuntimeError("MLflow did not start")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # the first time, the server is installed
@pytest.mark.parametrize("is_logged_model", [False, True])
def test_a_version_of_a_real_server_is_added(real_server: str, tmp_path: Path, is_logged_model: bool) -> None:
    data = convolutional().SerializeToString()
    name = "logged net" if is_logged_model else "my net"
    with httpx.Client(base_url=real_server, timeout=60) as client:
        if is_logged_model:
            reply = client.post(f"{API}/logged-models", json={"experiment_id": "0", "name": "net"}).json()
            info = reply["model"]["info"]
            source, root, owner = f"models:/{info['model_id']}", info["artifact_uri"], {"model_id": info["model_id"]}
        else:
            info = client.post(f"{API}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
            source, root = f"runs:/{info['run_id']}/model", f"{info['artifact_uri']}/model"
            owner = {"run_id": info["run_id"]}
        folder = root.partition(":/")[2]
        for file, content in (("MLmodel", b"flavors: {}"), ("data/net.onnx", data)):
            client.put(f"{ARTIFACTS}/{folder}/{file}", content=content).raise_for_status()
        client.post(f"{API}/registered-models/create", json={"name": name}).raise_for_status()
        version = {"name": name, "source": source, **owner}
        client.post(f"{API}/model-versions/create", json=version).raise_for_status()
    entry = added_from(real_server, tmp_path, f"mlflow:/{urllib.parse.quote(name)}/1")
    given = picture(24, 30)
    assert np.abs(run(entry.read_weights(), given) - run(data, given)).max() < 1e-6
    with pytest.raises(InputNotFound):
        added_from(real_server, tmp_path, "mlflow:/nobody/1")
