"""Reports and pictures of jobs in the REST API: who may see what, and what a browser is told about it."""

import base64
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient

from sr_tasks.errors import QualityRefused
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.assessment import Decision, PicturePair, Pictures, Verdict
from tests.dags.fakes import FakeSteps

JOB = "manual__2026-11-20T12:00:00+00:00"
PAGE = b"<!doctype html><title>film</title>"
VIEW = f"/enhance/api/v1/jobs/{quote(JOB, safe='')}"
REPORT = f"/enhance/api/v1/jobs/{quote(JOB, safe='')}/report"
PICTURE = f"/enhance/api/v1/jobs/{quote(JOB, safe='')}/pictures/0/output"

Browser = Callable[..., TestClient]


@pytest.fixture(scope="module", autouse=True)
def _run(migrated: None) -> None:
    """Airflow knows one run of the Dag of the jobs, and one of another Dag."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        for dag_id, run_id in (("upscale_video", JOB), ("send_alerts", "another")):
            run = DagRun(dag_id, run_id=run_id, run_type=DagRunType.MANUAL, run_after=datetime.now(UTC), conf={})
            run.state = "success"  # one that waits would be counted by whoever looks at the queue
            session.add(run)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobFolder:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    found = JobFolder(tmp_path, JOB)
    uri = f"data:image/jpeg;base64,{base64.b64encode(b'a picture').decode()}"
    views = dict.fromkeys(("source", "bicubic", "output"), uri)
    pair = PicturePair(reason="worst", frame=7, time_s=0.28, x=0, y=0, width=64, height=48, **views)
    found.store("pictures", Pictures((pair,)))
    (found.path / "report.html").write_bytes(PAGE)
    return found


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Gives a browser that is signed in with a role: the routes as Airflow mounts them, before its own auth manager."""
    from airflow.api_fastapi import app as airflow_app
    from sr_plugin import SrPlugin

    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "s" * 64)
    manager = airflow_app.init_auth_manager()
    server = FastAPI()
    for one in SrPlugin.fastapi_apps:
        server.mount(one["url_prefix"], one["app"])

    def signed_in(role: str | None, *, by_cookie: bool = False) -> TestClient:
        client: Any = TestClient(server)
        token = manager.generate_jwt(SimpleAuthManagerUser(username="anna", role=role))
        if by_cookie:
            client.cookies.set("_token", token)
        else:
            client.headers["Authorization"] = f"Bearer {token}"
        return client

    yield signed_in
    airflow_app.purge_cached_app()


@pytest.mark.parametrize("path", [VIEW, REPORT, PICTURE])
def test_only_who_may_read_runs_of_jobs_sees_their_pages(browser: Browser, folder: JobFolder, path: str) -> None:
    anonymous = browser("viewer")
    del anonymous.headers["Authorization"]
    for client, status in ((anonymous, 401), (browser(None), 403), (browser("viewer"), 200)):
        answer = client.get(path)
        assert answer.status_code == status
        shown = any(content in answer.content for content in (PAGE, b"a picture", b'"phase"'))
        assert shown == (status == 200)


def test_a_job_is_shown_as_it_stands_with_its_times(
    browser: Browser, steps: FakeSteps, run_dag: Callable[..., Any]
) -> None:
    run = run_dag()
    job = browser("viewer").get(f"/enhance/api/v1/jobs/{quote(run.run_id, safe='')}").json()
    assert (job["job_id"], job["status"], job["phase"], job["error"]) == (run.run_id, "COMPLETED", "completed", None)
    accepted, started, ended = (datetime.fromisoformat(job[f"{what}_at"]) for what in ("accepted", "started", "ended"))
    assert started <= ended
    assert abs(started - accepted) < timedelta(hours=1)


def test_a_job_that_failed_is_shown_with_its_error_and_the_gates_verdict(browser: Browser, folder: JobFolder) -> None:
    folder.store("verdict", Verdict(decision=Decision.FAILED, reasons=("Frame 7 is black.",)))
    folder.store_error(QualityRefused("Frame 7 is black."), step="gate")
    job = browser("viewer").get(VIEW).json()
    assert (job["verdict"]["reasons"], job["error"]["code"]) == (["Frame 7 is black."], "QUALITY_REFUSED")
    assert (job["error"]["step"], job["report"]) == ("gate", str(folder.path / "report.html"))


def test_the_cookie_of_airflows_own_pages_is_enough(browser: Browser, folder: JobFolder) -> None:
    """The picture in a question is asked for by the browser itself."""
    assert browser("viewer", by_cookie=True).get(PICTURE).content == b"a picture"


def test_a_page_runs_no_script_is_kept_by_nobody_else_and_is_not_sent_twice(
    browser: Browser, folder: JobFolder
) -> None:
    client = browser("viewer")
    for path, media_type in ((REPORT, "text/html; charset=utf-8"), (PICTURE, "image/jpeg")):
        answer = client.get(path)
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "private, no-cache"
        policy = [rule.strip() for rule in answer.headers["content-security-policy"].split(";")]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy, "a sandbox without any permission"
        assert not any(rule.startswith("script-src") for rule in policy)
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    (folder.path / "report.html").write_bytes(PAGE + b" decided")
    assert client.get(REPORT, headers={"If-None-Match": answer.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/enhance/api/v1/jobs/another",
        "/enhance/api/v1/jobs/another/report",
        "/enhance/api/v1/jobs/unknown/report",
        f"/enhance/api/v1/jobs/{JOB.replace(':', '_')}/report",
        "/enhance/api/v1/jobs/../report",
        "/enhance/api/v1/jobs/..%2F..%2Fetc/report",
        f"{REPORT}/..%2Ferror.json",
        PICTURE.replace("/0/", "/1/"),
        PICTURE.replace("/0/", "/-1/"),
    ],
)
def test_what_is_no_page_of_a_job_is_not_found(browser: Browser, folder: JobFolder, path: str) -> None:
    other = JobFolder(folder.path.parent.parent, "unknown")
    other.store_json("job", {})
    (other.path / "report.html").write_bytes(b"of the command line")
    assert browser("admin").get(path).status_code == 404


@pytest.mark.parametrize("path", [PICTURE.replace("output", "raw"), PICTURE.replace("/0/", "/one/")])
def test_an_address_that_cannot_be_one_is_refused(browser: Browser, folder: JobFolder, path: str) -> None:
    assert browser("admin").get(path).status_code == 422


def test_nothing_can_be_changed_there(browser: Browser, folder: JobFolder) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in (REPORT, PICTURE):
            assert browser("admin").request(method, path).status_code == 405


def test_a_report_that_is_gone_is_said_in_a_sentence(browser: Browser, folder: JobFolder) -> None:
    (folder.path / "report.html").unlink()
    answer = browser("viewer").get(REPORT)
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("The job has no report.")


def test_a_report_is_found_where_the_job_delivered_it_once_its_folder_was_cleared(
    browser: Browser, steps: FakeSteps, run_dag: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = tmp_path / "film_x2.mp4.report.html"
    beside.write_bytes(PAGE)
    delivered = SimpleNamespace(run=lambda *_: {"output": "film_x2.mp4", "report": str(beside)})
    monkeypatch.setattr(sys.modules["sr_tasks.steps"], "report", delivered, raising=False)
    page = f"/enhance/api/v1/jobs/{quote(run_dag().run_id, safe='')}/report"
    assert browser("viewer").get(page).content == PAGE
    monkeypatch.setenv("SR_ALLOWED_ROOTS", str(tmp_path / "elsewhere"))
    assert browser("viewer").get(page).status_code == 404
