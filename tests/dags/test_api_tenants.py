"""Tenants of the REST API: settings bind users to them, and keep them apart where that is asked for."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from sr_tasks.jobs.api import Stats
from tests.dags.api_server import Server, refused

pytestmark = pytest.mark.usefixtures("api_settings")


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_TENANT_USERS", "anna=acme:bert=best")


@pytest.fixture
def apart(bound: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_TENANT_PREFIX", "/media/{tenant}")


def _submitted(client: TestClient, source: str, **fields: object) -> str:
    answer = client.post("/jobs", json={"source": source, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job_id"])


def _listed(client: TestClient, **filters: str) -> set[str]:
    return {job["job_id"] for job in client.get("/jobs", params={"limit": 200, **filters}).json()["jobs"]}


@pytest.mark.usefixtures("bound")
def test_the_tenant_of_a_job_is_that_of_its_user_whatever_the_request_says(server: Server) -> None:
    anna, carl = server.signed_in(name="anna"), server.signed_in(name="carl")
    job = anna.get(f"/jobs/{_submitted(anna, '/media/film.mp4')}").json()
    assert job["request"]["tenant"] == "acme"
    refused(anna.post("/jobs", json={"source": "/media/film.mp4", "tenant": "best"}), 403, "NOT_YOUR_TENANT")
    refused(carl.post("/jobs", json={"source": "/media/film.mp4", "tenant": "best"}), 403, "NOT_YOUR_TENANT")
    for client, tenant in ((carl, "other"), (server.signed_in("op", "olga"), "best")):
        job = client.get(f"/jobs/{_submitted(client, '/media/film.mp4', tenant=tenant)}").json()
        assert job["request"]["tenant"] == tenant


def test_a_key_gives_the_same_job_again_to_a_user_with_a_tenant(server: Server, bound: None) -> None:
    anna = server.signed_in()
    answers = [
        anna.post("/jobs", json={"source": "/media/film.mp4"}, headers={"Idempotency-Key": "bound-1"}) for _ in "ab"
    ]
    assert [answer.status_code for answer in answers] == [201, 200]


@pytest.mark.usefixtures("apart")
def test_people_of_two_tenants_see_and_change_their_own_jobs_alone(server: Server) -> None:
    anna, bert, olga = server.signed_in(), server.signed_in(name="bert"), server.signed_in("op", "olga")
    carl = server.signed_in(name="carl")
    hers, his = _submitted(anna, "/media/acme/a.mp4"), _submitted(bert, "/media/best/b.mp4")
    for client, seen, unseen, other in ((anna, hers, his, "best"), (bert, his, hers, "acme")):
        assert seen in _listed(client)
        assert unseen not in _listed(client)
        assert not _listed(client, tenant=other)
    assert {hers, his} <= _listed(olga)
    assert not _listed(carl), "of no tenant"
    assert Stats.model_validate_json(carl.get("/stats").content).waiting == 0
    assert 0 < Stats.model_validate_json(anna.get("/stats").content).waiting < _waiting(olga)


def _waiting(client: TestClient) -> int:
    return Stats.model_validate_json(client.get("/stats").content).waiting


@pytest.mark.usefixtures("apart")
def test_no_route_of_a_job_answers_to_another_tenant(server: Server, tmp_path: Path) -> None:
    anna, bert = server.signed_in(), server.signed_in(name="bert")
    job = _submitted(anna, "/media/acme/secret.mp4")
    server.deliver(job, tmp_path)
    paths = server.as_nobody().get("/openapi.json").json()["paths"]
    routes = [(path, verb) for path, verbs in paths.items() for verb in verbs if "{job_id}" in path]
    assert len(routes) > 8
    for path, verb in routes:
        asked = path.format_map({"job_id": job, "number": 0, "view": "output", "n": 0})
        refused(bert.request(verb, asked), 404, "NOT_FOUND")
    assert server.state_of(job) == "success"
    assert anna.get(f"/jobs/{job}/output").content == b"film"


@pytest.mark.usefixtures("apart")
def test_files_of_another_tenant_are_neither_read_nor_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, bert = server.signed_in(), server.signed_in(name="bert")
    own = "/media/acme/a.mp4"
    for fields in (
        {"source": "/media/best/b.mp4"},
        {"source": "/media/acme/../best/b.mp4"},
        {"source": "/media/acme-more/b.mp4"},
        {"source": own, "output": "/media/best/b.mp4"},
    ):
        refused(anna.post("/jobs", json=fields), 422, "URI_NOT_ALLOWED")
    refused(server.signed_in(name="carl").post("/jobs", json={"source": own}), 403, "NOT_YOUR_TENANT")
    upload = str(tmp_path / "work" / "uploads" / _upload(bert) / "film.mp4")
    _submitted(bert, upload)
    refused(anna.post("/jobs", json={"source": upload}), 422, "URI_NOT_ALLOWED")
    monkeypatch.setenv("SR_ALLOWED_BUCKETS", "videos")
    monkeypatch.setenv("SR_TENANT_PREFIX", "s3://videos/{tenant}")
    _submitted(anna, "s3://videos/acme/a.mp4")
    refused(anna.post("/jobs", json={"source": "s3://videos/acme2/a.mp4"}), 422, "URI_NOT_ALLOWED")


def _upload(client: TestClient) -> str:
    headers = {"Upload-Length": "10", "Upload-Metadata": "filename ZmlsbS5tcDQ="}
    return str(client.post("/uploads", headers=headers).json()["id"])


def test_settings_that_name_no_tenant_are_refused_in_a_sentence(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = server.signed_in()
    monkeypatch.setenv("SR_TENANT_USERS", "anna")
    refused(anna.post("/jobs", json={"source": "/media/film.mp4"}), 422, "USAGE")
    monkeypatch.setenv("SR_TENANT_USERS", "anna=acme")
    monkeypatch.setenv("SR_TENANT_PREFIX", "/media")
    refused(anna.post("/jobs", json={"source": "/media/film.mp4"}), 422, "USAGE")
