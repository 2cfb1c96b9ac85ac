"""Objects over real HTTP: a server that speaks S3, multipart transfers, and a door that fails on demand."""

import base64
import hashlib
import io
import logging
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from loguru import logger
from moto.server import ThreadedMotoServer
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from sr_tasks.config import Settings
from sr_tasks.errors import (
    DiskFull,
    InputChanged,
    InputNotFound,
    InputUnreadable,
    IntegrityBroken,
    SrError,
    StorageUnavailable,
    TargetExists,
    TargetUnwritable,
    UsageError,
)
from sr_tasks.storage import s3
from sr_tasks.storage.s3 import ObjectStore
from sr_tasks.storage.transfer import SourceStat, check_target, deliver, fetch, stat
from sr_tasks.storage.uris import S3Object, parse

BIG = random.Random(5).randbytes(20_000_000)
SECRET = "verysecretkeyverysecretkeyverysecret1234"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture
def client(endpoint: str) -> Any:
    """A plain client, the oracle of what the server holds. Every test finds an empty bucket `media`."""
    made = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=Config(retries={"mode": "standard"})
    )
    made.create_bucket(Bucket="media")
    for entry in made.list_objects_v2(Bucket="media").get("Contents", []):
        made.delete_object(Bucket="media", Key=entry["Key"])
    return made


@pytest.fixture
def settings(endpoint: str, client: Any) -> Settings:
    return Settings(s3_endpoint_url=endpoint)


def content(client: Any, key: str) -> bytes:
    body: bytes = client.get_object(Bucket="media", Key=key)["Body"].read()
    return body


def keys(client: Any) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket="media").get("Contents", [])]


def uploads(client: Any) -> list[Any]:
    found: list[Any] = client.list_multipart_uploads(Bucket="media").get("Uploads", [])
    return found


@pytest.mark.parametrize("size", [0, 1000, 8 << 20, 20_000_000])
def test_what_is_delivered_is_what_is_fetched(settings: Settings, client: Any, tmp_path: Path, size: int) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(BIG[:size])
    location = parse("s3://media/out/a b %20 füße?#.mp4", settings)
    for _ in range(2):
        deliver(made, location, settings, overwrite=False)
        assert content(client, "out/a b %20 füße?#.mp4") == BIG[:size]
    head = client.head_object(Bucket="media", Key="out/a b %20 füße?#.mp4", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"]
    assert head["ContentType"] == "video/mp4"
    assert ("-" in head["ETag"]) is (size >= 8 << 20)
    found = fetch(location, tmp_path / "scratch", settings, stat(location, settings))
    assert found.read_bytes() == BIG[:size]
    assert found.suffix == ".mp4"
    assert not uploads(client)


def test_a_download_is_used_again_until_the_object_changes(settings: Settings, client: Any, tmp_path: Path) -> None:
    location = S3Object("media", "in.mp4")
    client.put_object(Bucket="media", Key="in.mp4", Body=b"first")
    first = fetch(location, tmp_path, settings)
    inode = first.stat().st_ino
    assert fetch(location, tmp_path, settings) == first
    assert first.stat().st_ino == inode
    client.put_object(Bucket="media", Key="in.mp4", Body=b"other")
    second = fetch(location, tmp_path, settings)
    assert (first.read_bytes(), second.read_bytes()) == (b"first", b"other")
    with pytest.raises(InputChanged):
        fetch(location, tmp_path, settings, SourceStat(size_bytes=5, identity="what it was"))


def test_an_object_changed_while_it_is_read_is_noticed(
    settings: Settings, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_object(Bucket="media", Key="in.mp4", Body=BIG)
    location, store = S3Object("media", "in.mp4"), ObjectStore(settings)
    before = store.head(location)
    client.put_object(Bucket="media", Key="in.mp4", Body=BIG[::-1])
    with pytest.raises(InputChanged):
        store.get(location, tmp_path / "got.mp4", before)

    before, transfer = store.head(location), store.transfer

    def change_after(*args: Any) -> None:
        transfer(*args)
        client.put_object(Bucket="media", Key="in.mp4", Body=b"changed")

    monkeypatch.setattr(store, "transfer", change_after)
    with pytest.raises(InputChanged):
        store.get(location, tmp_path / "got.mp4", before)

    client.put_object(Bucket="media", Key="in.mp4", Body=BIG)
    store = ObjectStore(settings)

    def change_now(**_: object) -> None:
        client.put_object(Bucket="media", Key="in.mp4", Body=BIG[::-1])

    store.client.meta.events.register("before-send.s3.GetObject", change_now)
    with pytest.raises(InputChanged):
        store.get(location, tmp_path / "got.mp4", store.head(location))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_object_is_only_replaced_when_asked(settings: Settings, client: Any, tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"new")
    client.put_object(Bucket="media", Key="out.mp4", Body=b"old")
    location = S3Object("media", "out.mp4")
    for call in (
        lambda: deliver(made, location, settings, overwrite=False),
        lambda: check_target(location, settings, overwrite=False),
    ):
        with pytest.raises(TargetExists, match=r"s3://media/out\.mp4"):
            call()
    assert content(client, "out.mp4") == b"old"
    check_target(location, settings, overwrite=True)
    deliver(made, location, settings, overwrite=True)
    assert content(client, "out.mp4") == b"new"


@pytest.mark.parametrize("size", [1000, 9 << 20])
def test_an_object_that_appears_meanwhile_is_not_replaced(
    settings: Settings, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(BIG[:size])
    location, store = S3Object("media", "out.mp4"), ObjectStore(settings)
    upload = store.transfer

    def appear_before(body: bytes) -> Callable[..., None]:
        def transfer(*args: Any) -> None:
            client.put_object(Bucket="media", Key="out.mp4", Body=body, ChecksumAlgorithm="SHA256")
            upload(*args)

        return transfer

    monkeypatch.setattr(store, "transfer", appear_before(b"theirs"))
    with pytest.raises(TargetExists):
        store.put(made, location, overwrite=False)
    assert content(client, "out.mp4") == b"theirs"
    assert not uploads(client)


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_content_is_compared_with_and_without_a_checksum_of_the_server(
    settings: Settings, client: Any, tmp_path: Path, algorithm: str
) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"same")
    location = S3Object("media", "out.mp4")
    client.put_object(Bucket="media", Key="out.mp4", Body=b"same", ChecksumAlgorithm=algorithm)
    deliver(made, location, settings, overwrite=False)
    made.write_bytes(b"else")
    with pytest.raises(TargetExists):
        deliver(made, location, settings, overwrite=False)
    assert content(client, "out.mp4") == b"same"


def test_an_upload_that_did_not_arrive_as_sent_is_reported(
    settings: Settings, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"made")
    store = ObjectStore(settings)

    def damage(*_: Any) -> None:
        client.put_object(Bucket="media", Key="out.mp4", Body=b"maed")

    monkeypatch.setattr(store, "transfer", damage)
    with pytest.raises(IntegrityBroken):
        store.put(made, S3Object("media", "out.mp4"), overwrite=True)


def test_checking_a_target_leaves_nothing_behind(settings: Settings, client: Any) -> None:
    check_target(S3Object("media", "out/new.mp4"), settings, overwrite=False)
    assert keys(client) == []
    assert uploads(client) == []


def test_what_is_missing_is_said(settings: Settings, tmp_path: Path) -> None:
    for location in (S3Object("media", "none.mp4"), S3Object("nobucket", "a.mp4")):
        with pytest.raises(InputNotFound, match=location.key):
            stat(location, settings)
        with pytest.raises(InputNotFound):
            fetch(location, tmp_path, settings)
    with pytest.raises(TargetUnwritable, match="nobucket"):
        check_target(S3Object("nobucket", "a.mp4"), settings, overwrite=False)
    made = tmp_path / "made.mp4"
    made.write_bytes(b"made")
    with pytest.raises(TargetUnwritable, match="nobucket"):
        deliver(made, S3Object("nobucket", "a.mp4"), settings, overwrite=True)


def test_a_full_disk_while_downloading_is_said(
    settings: Settings, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put_object(Bucket="media", Key="in.mp4", Body=b"data")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("s3transfer.download.IOWriteTask._main", lambda self, fileobj, data, offset: full())
    with pytest.raises(DiskFull):
        fetch(S3Object("media", "in.mp4"), tmp_path, settings)
    assert list(tmp_path.iterdir()) == []


def test_no_credentials_are_said_before_anything_is_sent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InputUnreadable, match="NoCredentials") as caught:
        stat(S3Object("media", "a.mp4"), settings)
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint


def test_an_endpoint_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match="SR_S3_ENDPOINT_URL"):
        ObjectStore(Settings(s3_endpoint_url="not an address"))


def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    with pytest.raises(StorageUnavailable) as caught:
        stat(S3Object("media", "a.mp4"), Settings(s3_endpoint_url="http://127.0.0.1:9"))
    assert caught.value.retryable


@pytest.fixture
def door() -> Iterator[Callable[..., Settings]]:
    """A server whose every answer is made by a function of the request; gives the settings to reach it."""
    servers = []

    def serve(answer: Callable[[Request], Response]) -> Settings:
        server = make_server("127.0.0.1", 0, Request.application(answer), threaded=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return Settings(s3_endpoint_url=f"http://127.0.0.1:{server.server_port}")

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(status: int, code: str) -> Response:
    return Response(
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>",
        status=status,
        mimetype="text/xml",
    )


@pytest.mark.parametrize(
    ("status", "code", "reading", "writing"),
    [
        (403, "AccessDenied", InputUnreadable, TargetUnwritable),
        (403, "InvalidAccessKeyId", InputUnreadable, TargetUnwritable),
        (400, "ExpiredToken", InputUnreadable, TargetUnwritable),
        # The answer to HEAD has no body, so no code.
        (400, "RequestTimeout", InputUnreadable, StorageUnavailable),
        (429, "TooManyRequests", StorageUnavailable, StorageUnavailable),
        (409, "ConditionalRequestConflict", StorageUnavailable, StorageUnavailable),
        (500, "InternalError", StorageUnavailable, StorageUnavailable),
        (503, "SlowDown", StorageUnavailable, StorageUnavailable),
    ],
)
def test_refusals_of_the_server_become_errors_of_ours(
    door: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    code: str,
    reading: type[SrError],
    writing: type[SrError],
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    settings = door(lambda request: refusal(status, code))
    lines = io.StringIO()
    sink = logger.add(lines, level=0)
    made = tmp_path / "made.mp4"
    made.write_bytes(b"made")
    try:
        for kind, call in (
            (reading, lambda: stat(S3Object("media", "a.mp4"), settings)),
            (writing, lambda: check_target(S3Object("media", "a.mp4"), settings, overwrite=True)),
            (writing, lambda: deliver(made, S3Object("media", "a.mp4"), settings, overwrite=True)),
        ):
            with pytest.raises(kind) as caught:
                call()
            said = f"{caught.value}{caught.value.hint}{lines.getvalue()}"
            assert SECRET not in said
            assert "AKIAIOSFODNN7EXAMPLE" not in said
            assert "Signature" not in said
    finally:
        logger.remove(sink)


def test_a_busy_server_is_asked_again(door: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    asked = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        if len(asked) < 3:
            return refusal(503, "SlowDown")
        return Response(status=200, headers={"Content-Length": "7", "ETag": '"e"'})

    found = stat(S3Object("media", "a.mp4"), door(answer))
    assert found.size_bytes == 7
    assert asked == ["/media/a.mp4"] * 3


def test_a_failed_multipart_upload_is_called_off(door: Callable[..., Settings], tmp_path: Path) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(BIG)
    seen = []

    def answer(request: Request) -> Response:
        seen.append((request.method, "uploadId" in request.args, request.headers.get("If-None-Match")))
        request.get_data()
        if request.method == "HEAD":
            return Response(status=404)
        if request.method == "POST":
            return Response("<r><UploadId>id</UploadId></r>", mimetype="text/xml")
        return Response(status=204) if request.method == "DELETE" else refusal(403, "AccessDenied")

    with pytest.raises(TargetUnwritable, match="AccessDenied"):
        deliver(made, S3Object("media", "a.mp4"), door(answer), overwrite=False)
    assert seen[-1][:2] == ("DELETE", True)


def test_a_server_without_conditional_writes_is_served_after_a_look(
    door: Callable[..., Settings], tmp_path: Path
) -> None:
    made = tmp_path / "made.mp4"
    made.write_bytes(b"made")
    held: list[bytes] = []

    def answer(request: Request) -> Response:
        if request.method == "HEAD" and not held:
            return Response(status=404)
        if request.method == "HEAD":
            digest = base64.b64encode(hashlib.sha256(held[0]).digest()).decode()
            return Response(headers={"Content-Length": "4", "ETag": '"e"', "x-amz-checksum-sha256": digest})
        if "If-None-Match" in request.headers:
            return refusal(501, "NotImplemented")
        held.append(b"made" if b"made" in request.get_data() else b"")
        return Response(status=200)

    deliver(made, S3Object("media", "a.mp4"), door(answer), overwrite=False)
    assert held == [b"made"]


@pytest.mark.parametrize("size", [0, 1, 8 << 20, 1 << 40])
def test_no_upload_needs_more_parts_than_a_server_takes(size: int) -> None:
    part = s3.part_bytes(size)
    assert size <= part * 10_000
    assert part >= 5 << 20
