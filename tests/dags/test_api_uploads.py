"""Uploads by the tus protocol: a file arrives in pieces, goes on after any break, and becomes the source of a job."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect, Request

from sr_tasks.jobs.api import UploadDetail
from tests.dags.api_server import Server, refused

pytestmark = pytest.mark.usefixtures("api_settings")

CONTENT = b"\0\0\0\x20ftypisom" + bytes(range(256)) * 40


@pytest.fixture
def anna(server: Server) -> TestClient:
    return server.signed_in()


def _begin(client: TestClient, name: str = "Film ä.mp4", size: int = len(CONTENT)) -> Any:
    coded = base64.b64encode(name.encode()).decode()
    metadata = f"filetype dmlkZW8=,filename {coded}"
    return client.post("/uploads", headers={"Upload-Length": str(size), "Upload-Metadata": metadata})


def _send(client: TestClient, upload: str, content: bytes | Iterator[bytes], offset: int) -> Any:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return client.patch(f"/uploads/{upload}", content=content, headers=headers)


@pytest.fixture
def upload(anna: TestClient) -> str:
    return str(_begin(anna).json()["id"])


def _have(client: TestClient, upload: str) -> int:
    return int(client.head(f"/uploads/{upload}").headers["upload-offset"])


def test_a_file_arrives_in_pieces_and_is_the_source_of_a_job(anna: TestClient, tmp_path: Path) -> None:
    begun = _begin(anna)
    upload = UploadDetail.model_validate_json(begun.content)
    assert (begun.status_code, begun.headers["location"]) == (201, f"/enhance/api/v1/uploads/{upload.id}")
    assert (upload.received_bytes, upload.source) == (0, None)
    for start, end in ((0, 4000), (4000, 9000), (9000, len(CONTENT))):
        assert _have(anna, upload.id) == start
        sent = _send(anna, upload.id, CONTENT[start:end], start)
        assert (sent.status_code, sent.headers["upload-offset"]) == (204, str(end))
    whole = UploadDetail.model_validate_json(anna.get(f"/uploads/{upload.id}").content)
    assert whole.source is not None
    path = Path(unquote(urlsplit(whole.source).path))
    assert (path.name, path.read_bytes()) == ("Film ä.mp4", CONTENT)
    job = anna.post("/jobs", json={"source": whole.source})
    assert (job.status_code, job.json()["source"]) == (201, "Film ä.mp4")


def test_what_came_before_a_connection_broke_stays(
    anna: TestClient, upload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Request) -> Any:
        yield CONTENT[:5000]
        raise ClientDisconnect

    with monkeypatch.context() as patch:
        patch.setattr(Request, "stream", broken)
        _send(anna, upload, CONTENT, 0)
    assert _have(anna, upload) == 5000
    assert _send(anna, upload, CONTENT[5000:], 5000).status_code == 204
    path = Path(unquote(urlsplit(anna.get(f"/uploads/{upload}").json()["source"]).path))
    assert path.read_bytes() == CONTENT


def test_pieces_are_taken_at_their_place_alone_and_no_more_than_was_announced(anna: TestClient, upload: str) -> None:
    refused(_send(anna, upload, CONTENT[5:], 5), 409, "WRONG_OFFSET")
    assert _send(anna, upload, CONTENT[:100], 0).status_code == 204
    refused(_send(anna, upload, CONTENT, 0), 409, "WRONG_OFFSET")
    refused(_send(anna, upload, CONTENT, 100), 413, "CONTENT_TOO_LARGE")
    headers = {"Upload-Offset": "100", "Content-Type": "application/json"}
    refused(anna.patch(f"/uploads/{upload}", content=b"x", headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"<html><script>alert(1)</script></html>",
        b"PK\x03\x04" + bytes(99),
        b"%PDF-1.7" + bytes(9),
        b"\x7fELF" + bytes(99),
    ],
)
def test_what_is_no_video_at_first_sight_is_refused_and_not_kept(
    anna: TestClient, content: bytes, tmp_path: Path
) -> None:
    upload = _begin(anna, size=len(content)).json()["id"]
    refused(_send(anna, upload, content, 0), 422, "INPUT_INVALID")
    kept = [path.read_bytes() for path in (tmp_path / "work" / "uploads" / upload).iterdir()]
    assert content not in kept
    refused(anna.get(f"/uploads/{upload}"), 404, "INPUT_NOT_FOUND")


def test_a_file_that_cannot_be_taken_is_refused_before_it_is_sent(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(_begin(anna, size=0), 422, "INPUT_INVALID")
    for name in ("", "..", ".profile", "a\nb.mp4", "ä" * 150):
        refused(_begin(anna, name), 422, "USAGE")
    refused(anna.post("/uploads", headers={"Upload-Length": "5", "Upload-Metadata": "filename ***"}), 422, "USAGE")
    refused(anna.post("/uploads"), 422, "USAGE")
    refused(_begin(anna, size=1 << 49), 413, "INPUT_TOO_LARGE")
    monkeypatch.setenv("SR_MIN_FREE_BYTES", str(1 << 60))
    refused(_begin(anna), 413, "DISK_TOO_SMALL")
    assert _begin(anna, "../../etc/passwd").status_code == 413, "a folder in a name leads nowhere"


def test_an_upload_is_there_for_who_began_it_and_for_operators(server: Server, anna: TestClient, upload: str) -> None:
    ben = server.signed_in(name="ben")
    refused(ben.get(f"/uploads/{upload}"), 404, "NOT_FOUND")
    refused(_send(ben, upload, CONTENT, 0), 404, "NOT_FOUND")
    refused(ben.delete(f"/uploads/{upload}"), 404, "NOT_FOUND")
    for name in ("unknown", "0" * 24, "..%2F..%2Fjobs"):
        assert anna.get(f"/uploads/{name}").status_code == 404
    refused(_begin(server.signed_in("viewer")), 403, "FORBIDDEN")
    assert server.as_nobody().get(f"/uploads/{upload}").status_code == 401
    assert server.signed_in("op", "olga").delete(f"/uploads/{upload}").status_code == 204
    refused(anna.get(f"/uploads/{upload}"), 404, "INPUT_NOT_FOUND")


def test_programs_of_the_protocol_are_told_what_is_taken(anna: TestClient) -> None:
    told = anna.options("/uploads").headers
    assert (told["tus-version"], told["tus-extension"]) == ("1.0.0", "creation,termination")
    assert int(told["tus-max-size"]) > 1 << 30
