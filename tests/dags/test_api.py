"""The REST API of jobs in Airflow's own API server: who may do what, and what programs are answered."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from sr_tasks.errors import QualityRefused
from sr_tasks.jobs.api import JobDetail, JobPage
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Status
from sr_tasks.records.job import TaskTiming
from tests.dags.api_server import Server, refused

REQUEST = {"source": "/media/film.mp4", "scale": 2}

Submit = Callable[..., str]


pytestmark = pytest.mark.usefixtures("api_settings")


@pytest.fixture
def anna(server: Server) -> TestClient:
    return server.signed_in()


@pytest.fixture
def submit(anna: TestClient) -> Submit:
    def submitted(**fields: Any) -> str:
        answer = anna.post("/jobs", json={**REQUEST, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job_id"])

    return submitted


def test_a_job_that_is_submitted_waits_and_is_shown_with_what_was_asked_for(server: Server, anna: TestClient) -> None:
    answer = anna.post("/jobs", json=REQUEST)
    assert answer.status_code == 201
    job = JobDetail.model_validate_json(answer.content)
    assert (job.status, job.phase, job.source, job.created_by) == (Status.PENDING, "accepted", "film.mp4", "anna")
    assert job.request is not None
    assert (job.request.source, job.request.scale) == ("/media/film.mp4", 2)
    assert answer.headers["location"] == job.links.self
    shown = server.signed_in("viewer").get(f"http://airflow{job.links.self}")
    assert JobDetail.model_validate_json(shown.content) == job
    assert server.state_of(job.job_id) == "queued"


@pytest.mark.parametrize("by_key", [True, False])
def test_the_same_request_gives_the_same_job_and_another_one_under_its_name_is_refused(
    server: Server, by_key: bool
) -> None:
    anna, name = server.signed_in(), f"again-{by_key}"
    headers = {"Idempotency-Key": name} if by_key else {}
    own = {} if by_key else {"id": name}
    first = anna.post("/jobs", json={**REQUEST, **own}, headers=headers)
    again = anna.post("/jobs", json={"codec": "h264", **REQUEST, **own}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["job_id"] == again.json()["job_id"]
    refused(anna.post("/jobs", json={**REQUEST, **own, "scale": 4}, headers=headers), 409, "ID_TAKEN")
    if by_key:
        other = server.signed_in(name="ben").post("/jobs", json=REQUEST, headers=headers)
        assert other.json()["job_id"] != first.json()["job_id"], "the key of somebody else is another key"


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "source", "USAGE"),
        ({"source": ""}, "source", "USAGE"),
        ({"source": "/media/a.mp4", "scale": 5}, "scale", "USAGE"),
        ({"source": "/media/a.mp4", "sclae": 2}, "sclae", "USAGE"),
        ({"source": "/media/a.mp4", "id": "../etc"}, "id", "USAGE"),
        ({"source": "/media/a.mp4", "codec": "ffv1", "crf": 20}, "crf", "USAGE"),
        ({"source": "film.mp4"}, "absolute", "USAGE"),
        ({"source": "/etc/passwd"}, "/etc/passwd", "URI_NOT_ALLOWED"),
        ({"source": "http://example.org/film.mp4"}, "http", "URI_NOT_ALLOWED"),
        ({"source": "/media/a.mp4", "output": "/etc/cron.d/a.mp4"}, "/etc/cron.d", "URI_NOT_ALLOWED"),
        ({"source": "/media/\ud800.mp4"}, "source", "USAGE"),
        ({"source": "/media/\0.mp4"}, "NUL", "URI_NOT_ALLOWED"),
        ([REQUEST], "", "USAGE"),
    ],
)
def test_a_request_that_cannot_be_one_is_refused_in_a_sentence_and_leaves_no_job(
    anna: TestClient, body: Any, field: str, code: str
) -> None:
    def jobs() -> int:
        return len(anna.get("/jobs", params={"limit": 200}).json()["jobs"])

    before = jobs()
    headers = {"Content-Type": "application/json"}
    answer = anna.post("/jobs", content=json.dumps(body), headers=headers)
    problem = refused(answer, 422, code)
    assert field in f"{problem.detail} {problem.hint} {problem.errors}"
    assert jobs() == before


def test_a_body_that_is_no_json_too_large_or_of_another_kind_is_refused(anna: TestClient) -> None:
    as_json = {"Content-Type": "application/json"}
    refused(anna.post("/jobs", content=b"{", headers=as_json), 422, "USAGE")
    refused(anna.post("/jobs", content=b" " * 70_000, headers=as_json), 413, "CONTENT_TOO_LARGE")
    pieces = iter([b" " * 40_000] * 2)
    refused(anna.post("/jobs", content=pieces, headers=as_json), 413, "CONTENT_TOO_LARGE")
    refused(anna.post("/jobs", data={"source": "/media/film.mp4"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(anna.post("/jobs", content=b"{}"), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_viewer_reads_a_user_submits_and_an_operator_stops_the_jobs_of_all(server: Server, submit: Submit) -> None:
    job = submit()
    viewer, ben, operator = (server.signed_in(role, role) for role in ("viewer", "user", "op"))
    for client, statuses in ((server.as_nobody(), (401, 401)), (server.signed_in(None), (403, 403))):
        assert client.get(f"/jobs/{job}").status_code == statuses[0]
        assert client.post("/jobs", json=REQUEST).status_code == statuses[1]
    assert viewer.get(f"/jobs/{job}").status_code == 200
    refused(viewer.post("/jobs", json=REQUEST), 403, "FORBIDDEN")
    for method, path in (("POST", "cancel"), ("POST", "retry"), ("DELETE", "")):
        refused(viewer.request(method, f"/jobs/{job}/{path}".rstrip("/")), 403, "FORBIDDEN")
        refused(ben.request(method, f"/jobs/{job}/{path}".rstrip("/")), 403, "NOT_YOURS")
    assert operator.post(f"/jobs/{job}/cancel").status_code == 202
    assert server.tasks_of(job)["validate"] == "skipped", "Airflow begins it no more"


def test_a_change_that_another_site_asks_for_with_the_cookie_of_the_login_is_refused(server: Server) -> None:
    browser = server.signed_in("op", by_cookie=True)
    assert browser.get("/jobs").status_code == 200
    for headers in (
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "http://airflow.evil.example"},
        {"Origin": "null"},
    ):
        refused(browser.post("/jobs", json=REQUEST, headers=headers), 403, "CROSS_SITE")
        refused(browser.delete("/jobs/any", headers=headers), 403, "CROSS_SITE")
    assert browser.post("/jobs", json=REQUEST, headers={"Origin": "http://airflow"}).status_code == 201
    with_token = server.signed_in("op")
    refused(with_token.post("/jobs", json=REQUEST, headers={"Origin": "http://evil.example"}), 403, "CROSS_SITE")


def test_a_job_is_cancelled_tried_again_and_deleted(server: Server, anna: TestClient, submit: Submit) -> None:
    job = submit()
    server.put(job, "running", validate="running")
    refused(anna.post(f"/jobs/{job}/retry"), 409, "JOB_PROCESSING")
    refused(anna.delete(f"/jobs/{job}"), 409, "JOB_PROCESSING")
    assert anna.post(f"/jobs/{job}/cancel").status_code == 202
    server.put(job, "failed", validate="failed")
    cancelled = anna.post(f"/jobs/{job}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("FAILED", "JOB_CANCELLED")
    again = anna.post(f"/jobs/{job}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "PENDING")
    assert server.state_of(job) == "queued"
    server.put(job, "failed")
    assert anna.delete(f"/jobs/{job}").status_code == 204
    assert server.state_of(job) is None
    refused(anna.get(f"/jobs/{job}"), 404, "NOT_FOUND")


def test_a_job_that_is_done_is_not_cancelled_and_not_tried_again(
    server: Server, anna: TestClient, submit: Submit
) -> None:
    job = submit()
    server.put(job, "success", report="success")
    for verb in ("cancel", "retry"):
        refused(anna.post(f"/jobs/{job}/{verb}"), 409, "JOB_COMPLETED")


def test_outputs_are_deleted_if_asked_for_and_scratch_always(
    server: Server, anna: TestClient, submit: Submit, tmp_path: Path
) -> None:
    kept, asked = submit(), submit()
    for job, parameters, is_there in ((kept, {}, True), (asked, {"outputs": True}, False)):
        files = server.deliver(job, tmp_path)
        folder = JobFolder(tmp_path / "work", job)
        folder.store_json("job", {"id": job})
        assert anna.delete(f"/jobs/{job}", params=parameters).status_code == 204
        assert [file.exists() for file in files] == [is_there] * 3
        assert not folder.path.exists()


def test_outputs_that_a_later_job_replaced_are_not_deleted_with_the_earlier_one(
    server: Server, anna: TestClient, submit: Submit, tmp_path: Path
) -> None:
    job = submit()
    files = server.deliver(job, tmp_path, owner="a-later-one")
    refused(anna.delete(f"/jobs/{job}", params={"outputs": True}), 409, "TARGET_EXISTS")
    assert all(file.exists() for file in files)
    assert server.state_of(job) == "success"


def test_a_job_that_failed_says_why_and_what_it_took(
    server: Server, anna: TestClient, submit: Submit, tmp_path: Path
) -> None:
    job = submit()
    folder = JobFolder(tmp_path / "work", job)
    folder.store_error(QualityRefused("Frame 7 is black.", hint="Look at it."), step="gate")
    folder.store("timings/assess", TaskTiming(seconds=2.5))
    server.put(job, "failed", gate="failed")
    shown = anna.get(f"/jobs/{job}").json()
    error = shown["error"]
    assert (error["code"], error["message"], error["hint"]) == ("QUALITY_REFUSED", "Frame 7 is black.", "Look at it.")
    assert shown["timings_s"] == {"assess": 2.5}


def test_the_list_is_filtered_and_comes_in_pages(server: Server, anna: TestClient, submit: Submit) -> None:
    fields = {"model": "bicubic", "tenant": "pages", "source": "s3://archive/tapes/Night%20train.mkv"}
    jobs = [submit(**fields), submit(tenant="pages"), submit(tenant="pages", output="/media/out/night.mkv")]
    server.put(jobs[1], "failed")

    def found(**wanted: Any) -> list[str]:
        answer = anna.get("/jobs", params={"tenant": "pages", **wanted})
        assert answer.status_code == 200, answer.text
        return [job.job_id for job in JobPage.model_validate_json(answer.content).jobs]

    assert found() == jobs[::-1]
    assert found(status="FAILED") == [jobs[1]]
    assert found(model="bicubic") == [jobs[0]]
    assert found(name="night") == [jobs[0]]
    assert found(name="tapes") == []
    assert found(name="%") == [jobs[0]], "as a letter, not as a pattern"
    assert found(text="NIGHT") == [jobs[2], jobs[0]]
    assert found(created_by="ben") == []
    assert found(accepted_before="2026-01-01T00:00:00Z") == []
    assert found(accepted_from="2026-01-01T00:00:00") == jobs[::-1]
    seen, cursor = [], None
    for _ in jobs:
        page = anna.get(
            "/jobs", params={"tenant": "pages", "limit": 1, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [job["job_id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (jobs[::-1], None)
    refused(anna.get("/jobs", params={"cursor": "nonsense"}), 422, "USAGE")
    refused(anna.get("/jobs", params={"limit": 0}), 422, "USAGE")


def test_the_list_finds_every_job_under_the_status_that_it_shows(
    server: Server, anna: TestClient, submit: Submit
) -> None:
    states = itertools.product(
        ("queued", "running", "success", "failed"), (None, "running", "success"), (None, "success")
    )
    for run_state, validate, report in states:
        server.put(submit(tenant="statuses"), run_state, admit="success", validate=validate, report=report)
    wanted = {"tenant": "statuses", "limit": 200}
    every = anna.get("/jobs", params=wanted).json()["jobs"]
    for status in Status:
        found = anna.get("/jobs", params={**wanted, "status": status}).json()["jobs"]
        assert found == [job for job in every if job["status"] == status]
        assert found, "each status was tried"


def test_with_too_many_open_jobs_no_more_are_taken(
    anna: TestClient, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(id="the-last-one")
    monkeypatch.setenv("SR_MAX_OPEN_JOBS", "1")
    answer = anna.post("/jobs", json=REQUEST)
    refused(answer, 429, "TOO_MANY_JOBS")
    assert int(answer.headers["retry-after"]) > 0
    assert anna.post("/jobs", json={**REQUEST, "id": "the-last-one"}).status_code == 200


def test_what_there_is_not_is_said_like_every_error(anna: TestClient) -> None:
    for path in ("/nothing", "/jobs/unknown", "/jobs/..%2F..%2Fetc", "/jobs/a%00b", "/jobs/unknown/report"):
        refused(anna.get(path), 404, "NOT_FOUND")
    refused(anna.put("/jobs", json={}), 405, "METHOD_NOT_ALLOWED")


def test_the_description_of_the_api_is_complete(server: Server) -> None:
    described = server.as_nobody().get("/openapi.json").json()
    routes = [(path, verb, about) for path, verbs in described["paths"].items() for verb, about in verbs.items()]
    assert ("/jobs", "post") in [(path, verb) for path, verb, _ in routes]
    for path, verb, about in routes:
        assert about["description"], f"{verb} {path} is not explained"
        for status, answer in about["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], f"{verb} {path} {status}"
