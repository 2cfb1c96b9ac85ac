"""The Python client against Airflow's own API server: what a program writes, and what it is told."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from sr_console import runs

from sr_tasks.client import ApiRefused, AsyncClient, Client, talk
from sr_tasks.errors import AirflowUnavailable, QualityRefused, UriNotAllowed
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.status import Status
from tests.dags.api_server import Server

pytestmark = pytest.mark.usefixtures("api_settings")

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def client(server: Server) -> Client:
    return Client("", http=server.signed_in(below=""))


@pytest.fixture
def ends(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Jobs end at the second look at them, COMPLETED unless an `error` is put in here."""
    detail, looks, how = runs.detail, [], dict[str, Any]()

    def ending(run: Any, settings: Any, session: Any) -> Any:
        looks.append(run.run_id)
        if looks.count(run.run_id) == 2:
            if "error" in how:
                JobFolder(tmp_path / "work", run.run_id).store_error(how["error"])
                server.put(run.run_id, "failed")
            else:
                server.deliver(run.run_id, tmp_path, content=CONTENT)
        return detail(runs.known(run.run_id, session), settings, session)

    monkeypatch.setattr(runs, "detail", ending)
    monkeypatch.setattr(talk, "POLL_S", 0.01)
    return how


def test_a_video_is_enhanced_and_downloaded_in_two_calls(
    client: Client, ends: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "PIECE_BYTES", 1000)
    result = client.enhance("/media/film.mp4", scale=4)
    assert result.job.status is Status.COMPLETED
    assert result.job.request is not None
    assert result.job.request.scale == 4
    assert client.download(result, tmp_path / "mine.mp4").read_bytes() == CONTENT


def test_a_download_that_broke_off_goes_on_where_it_was(client: Client, ends: dict[str, Any], tmp_path: Path) -> None:
    job = client.enhance("/media/film.mp4").job.job_id
    (tmp_path / f".mine.mp4.{job}.partial").write_bytes(CONTENT[:5000])
    assert client.download(job, tmp_path / "mine.mp4").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.glob(".mine*")] == []


def test_a_file_of_ones_own_is_sent_first_and_goes_on_where_the_connection_broke(
    server: Server, ends: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "PIECE_BYTES", 4000)
    monkeypatch.setattr("time.sleep", lambda _: None)
    http = server.signed_in(below="")
    send, broken = http.send, []

    def breaking(request: httpx.Request, **options: Any) -> httpx.Response:
        answer = send(request, **options)
        if request.method == "PATCH" and not broken:
            broken.append(request)
            raise httpx.ReadError("the answer was lost")
        return answer

    monkeypatch.setattr(http, "send", breaking)
    (tmp_path / "my film.mp4").write_bytes(CONTENT)
    source = Client("", http=http).enhance(tmp_path / "my film.mp4").job.request.source  # type: ignore[union-attr]
    assert source.endswith("/my%20film.mp4")
    assert Path(unquote(urlsplit(source).path)).read_bytes() == CONTENT
    assert len(broken) == 1


def test_a_job_that_fails_raises_its_own_error(client: Client, ends: dict[str, Any]) -> None:
    ends["error"] = QualityRefused("Frame 7 is black.", hint="Look at it.")
    with pytest.raises(QualityRefused, match="Frame 7 is black") as raised:
        client.enhance("/media/film.mp4")
    assert raised.value.hint == "Look at it."


def test_what_the_server_refuses_is_raised_with_its_sentence(client: Client) -> None:
    with pytest.raises(UriNotAllowed, match="/etc/passwd"):
        client.submit("/etc/passwd")
    with pytest.raises(ApiRefused, match="no job 'unknown'"):
        client.job("unknown")
    job = client.submit("/media/film.mp4", key="one")
    assert client.submit("/media/film.mp4", key="one").job_id == job.job_id
    with pytest.raises(ApiRefused, match="another request"):
        client.submit("/media/other.mp4", key="one")


def test_jobs_are_listed_stopped_tried_again_and_deleted(server: Server, client: Client) -> None:
    jobs = [client.submit("/media/film.mp4", tenant="client").job_id for _ in range(3)]
    assert [job.job_id for job in client.jobs(tenant="client", limit=2)] == jobs[::-1]
    client.cancel(jobs[0])
    server.put(jobs[0], "failed")
    assert client.retry(jobs[0]).status is Status.PENDING
    server.put(jobs[0], "failed")
    client.delete(jobs[0])
    assert [job.job_id for job in client.jobs(tenant="client")] == jobs[:0:-1]


def test_the_same_can_be_done_in_asyncio(server: Server, ends: dict[str, Any], tmp_path: Path) -> None:
    token = server.signed_in().headers["Authorization"].removeprefix("Bearer ")

    async def enhanced() -> list[str]:
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url="http://airflow")
        async with AsyncClient("", token=token, http=http) as client:
            result = await client.enhance("/media/film.mp4", tenant="async")
            await client.download(result, tmp_path / "mine.mp4")
            return [job.job_id async for job in client.jobs(tenant="async")]

    assert len(asyncio.run(enhanced())) == 1
    assert (tmp_path / "mine.mp4").read_bytes() == CONTENT


def test_a_password_gets_a_token_and_a_new_one_when_that_is_old() -> None:
    tokens = iter(("first", "second"))
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": next(tokens)})
        seen.append(request.headers.get("Authorization", ""))
        is_good = seen[-1] == ("Bearer first" if len(seen) < 3 else "Bearer second")
        return httpx.Response(200, json={"jobs": [], "next_cursor": None}) if is_good else httpx.Response(401)

    http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://airflow")
    client = Client("", username="anna", password="secret", http=http)
    assert (list(client.jobs()), list(client.jobs())) == ([], [])
    assert seen == ["", "Bearer first", "Bearer first", "Bearer second"]


def test_a_server_that_is_busy_is_asked_again_and_one_that_is_gone_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    page = httpx.Response(200, json={"jobs": [], "next_cursor": None})
    busy = iter([httpx.Response(503, headers={"Retry-After": "7"}), page])

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    http = httpx.Client(transport=httpx.MockTransport(lambda _: next(busy)), base_url="http://airflow")
    assert list(Client("", http=http).jobs()) == []
    assert slept == [7.0]
    http = httpx.Client(transport=httpx.MockTransport(gone), base_url="http://airflow")
    with pytest.raises(AirflowUnavailable, match="airflow"):
        Client("", http=http).job("any")
