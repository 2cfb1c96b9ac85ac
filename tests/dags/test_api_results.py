"""What the REST API gives of a job that is done, and of one that changes."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from fastapi.testclient import TestClient
from sr_console import events, runs

from sr_tasks.jobs.api import JobDetail
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Status
from sr_tasks.records.assessment import PicturePair, Pictures
from tests.dags.api_server import Server, refused
from tests.object_store import serving

pytestmark = pytest.mark.usefixtures("api_settings")

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def anna(server: Server) -> TestClient:
    return server.signed_in()


@pytest.fixture
def job(anna: TestClient) -> str:
    return str(anna.post("/jobs", json={"source": "/media/film.mp4"}).json()["job_id"])


def test_an_output_is_sent_whole_or_from_where_a_player_jumps_to(
    server: Server, anna: TestClient, job: str, tmp_path: Path
) -> None:
    refused(anna.get(f"/jobs/{job}/output"), 404, "INPUT_NOT_FOUND")
    server.deliver(job, tmp_path, content=CONTENT)
    whole = server.signed_in("viewer").get(f"/jobs/{job}/output")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, CONTENT, "video/mp4")
    part = anna.get(f"/jobs/{job}/output", headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(CONTENT)}"
    past = anna.get(f"/jobs/{job}/output", headers={"Range": "bytes=99999-"})
    refused(past, 416, "RANGE_NOT_SATISFIABLE")
    assert past.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert anna.get(f"/jobs/{job}/output", headers={"Range": "frames=1-2"}).status_code == 200
    assert server.as_nobody().get(f"/jobs/{job}/output").status_code == 401


def test_nothing_is_sent_that_the_manifest_beside_it_does_not_say_is_the_jobs(
    server: Server, anna: TestClient, job: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = server.deliver(job, tmp_path, owner="a-later-one")
    for what in ("output", "manifest"):
        refused(anna.get(f"/jobs/{job}/{what}"), 404, "TARGET_EXISTS")
    files[1].write_text("{}")
    refused(anna.get(f"/jobs/{job}/output"), 404, "INPUT_INVALID")
    files[1].unlink()
    refused(anna.get(f"/jobs/{job}/output"), 404, "INPUT_NOT_FOUND")
    server.deliver(job, tmp_path)
    monkeypatch.setenv("SR_ALLOWED_ROOTS", "/media")
    refused(anna.get(f"/jobs/{job}/output"), 404, "URI_NOT_ALLOWED")


def test_the_manifest_of_a_job_is_shown(server: Server, anna: TestClient, job: str, tmp_path: Path) -> None:
    files = server.deliver(job, tmp_path)
    assert anna.get(f"/jobs/{job}/manifest").json() == json.loads(files[1].read_text())


def test_the_poster_is_the_one_beside_the_output_or_else_a_picture_of_the_report(
    server: Server, anna: TestClient, job: str, tmp_path: Path
) -> None:
    refused(anna.get(f"/jobs/{job}/poster"), 404, "INPUT_NOT_FOUND")
    files = server.deliver(job, tmp_path)
    shown = PicturePair.model_validate(
        {"reason": "worst", "frame": 7, "time_s": 0.28, "x": 0, "y": 0, "width": 64, "height": 48}
        | dict.fromkeys(("source", "bicubic"), "data:image/png;base64,")
        | {"output": "data:image/png;base64,UE5H"}
    )
    JobFolder(tmp_path / "work", job).store("pictures", Pictures((shown,)))
    of_report = anna.get(f"/jobs/{job}/poster")
    assert (of_report.content, of_report.headers["content-type"]) == (b"PNG", "image/png")
    tmp_path.joinpath(f"{files[0].name}.poster.jpg").write_bytes(b"JPEG")
    files[1].write_text(json.dumps({"schema_version": 2, "job": {"id": job}, "pictures_beside": {"poster": {}}}))
    assert anna.get(f"/jobs/{job}/poster").content == b"PNG", "the manifest has no poster"
    files[1].write_text(json.dumps(json.loads(files[1].read_text()) | {"pictures_beside": {"poster": {"frames": [3]}}}))
    beside = anna.get(f"/jobs/{job}/poster")
    assert (beside.content, beside.headers["content-type"]) == (b"JPEG", "image/jpeg")
    again = anna.get(f"/jobs/{job}/poster", headers={"If-None-Match": beside.headers["etag"]})
    assert again.status_code == 304


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server with an output and its manifest."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as endpoint:
        monkeypatch.setenv("SR_S3_ENDPOINT_URL", endpoint)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="enhanced")
        yield endpoint


def test_an_output_in_a_bucket_is_given_by_a_link_that_anybody_can_read_for_a_while(
    server: Server, anna: TestClient, job: str, tmp_path: Path, bucket: str
) -> None:
    files = server.deliver(job, tmp_path, content=CONTENT, at="s3://enhanced/done")
    for file in files:
        boto3.client("s3", endpoint_url=bucket).upload_file(str(file), "enhanced", f"done/{file.name}")
    answer = anna.get(f"/jobs/{job}/output", follow_redirects=False)
    assert answer.status_code == 307
    assert httpx.get(answer.headers["location"], headers={"Range": "bytes=5-9"}).content == CONTENT[5:10]
    assert anna.delete(f"/jobs/{job}", params={"outputs": True}).status_code == 204
    assert "Contents" not in boto3.client("s3", endpoint_url=bucket).list_objects_v2(Bucket="enhanced")


def test_who_watches_a_job_is_told_where_it_stands_what_changes_and_its_end(
    server: Server, anna: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(anna.get("/jobs/unknown/events"), 404, "NOT_FOUND")
    detail, looks = runs.detail, []

    def detail_of_a_job_that_fails_at_the_third_look(*arguments: Any) -> JobDetail:
        looks.append(arguments)
        if len(looks) == 3:
            server.put(job, "failed")
        return detail(runs.known(job, arguments[2]), *arguments[1:])

    monkeypatch.setattr(events, "POLL_S", 0.01)
    monkeypatch.setattr(runs, "detail", detail_of_a_job_that_fails_at_the_third_look)
    answer = anna.get(f"/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = [JobDetail.model_validate_json(data) for data in re.findall(r"^event: job\ndata: (.+)$", answer.text, re.M)]
    assert [job.status for job in seen] == [Status.PENDING, Status.FAILED], "and there the stream ended"


def test_however_many_watch_a_job_it_is_looked_at_by_one(server: Server, anna: TestClient, job: str) -> None:
    server.put(job, "failed")
    ended = JobDetail.model_validate(anna.get(f"/jobs/{job}").json())
    states = [ended.model_copy(update={"status": Status.PENDING}), ended]

    async def watched() -> list[list[bytes]]:
        watches = events.Watches()

        async def events_of_one() -> list[bytes]:
            return [event async for event in watches.events(job, lambda: states.pop(0))]

        return await asyncio.gather(*(events_of_one() for _ in range(20)))

    for told in asyncio.run(watched()):
        assert b'"FAILED"' in told[-1]
    assert states == []


def test_more_watchers_than_the_server_has_room_for_are_refused(
    anna: TestClient, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_WATCHERS", 0)
    refused(anna.get(f"/jobs/{job}/events"), 429, "TOO_MANY_WATCHERS")
