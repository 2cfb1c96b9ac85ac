"""What the page for people is told: who asks, which outputs wait for a decision, and the source to compare with."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sr_console.web import FOLDER

from sr_tasks.config import Settings
from sr_tasks.jobs.api import Person, WaitingReview
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.assessment import Decision, PicturePair, Pictures, Verdict
from sr_tasks.steps import validate
from tests import clips
from tests.dags.api_server import Server, refused

pytestmark = pytest.mark.usefixtures("api_settings")

EMPTY = "data:image/png;base64,"


@pytest.fixture
def anna(server: Server) -> TestClient:
    return server.signed_in()


@pytest.fixture
def parked(server: Server, anna: TestClient) -> str:
    """A job whose doubtful output waits for a person."""
    job = str(anna.post("/jobs", json={"source": "/media/film.mp4"}).json()["job_id"])
    folder = JobFolder(Settings.from_env().workdir, job)
    folder.store("verdict", Verdict(decision=Decision.NEEDS_REVIEW, reasons=("One block is dark.",)))
    pair = PicturePair.model_validate(
        {"reason": "worst", "frame": 7, "time_s": 0.28, "x": 0, "y": 0, "width": 64, "height": 48}
        | dict.fromkeys(("source", "bicubic", "output"), EMPTY)
    )
    folder.store("pictures", Pictures((pair,)))
    server.put(job, "running", validate="success", review="awaiting_input")
    return job


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", (False, False, False)), ("user", (True, True, False)), ("op", (True, True, True))]
)
def test_the_page_is_told_who_asks_and_what_they_may_do(
    server: Server, role: str, may: tuple[bool, bool, bool]
) -> None:
    person = Person.model_validate_json(server.signed_in(role, "anna", by_cookie=True).get("/me").content)
    assert (person.name, person.may_submit, person.may_review, person.may_change_all) == ("anna", *may)
    refused(server.as_nobody().get("/me"), 401, "UNAUTHORIZED")


def test_what_waits_for_a_person_is_listed_with_what_speaks_against_it(
    server: Server, anna: TestClient, parked: str
) -> None:
    listed = [WaitingReview.model_validate(one) for one in server.signed_in("viewer").get("/reviews").json()]
    (asked,) = [one for one in listed if one.job_id == parked]
    assert (asked.source, asked.created_by, asked.reasons) == ("film.mp4", "anna", ("One block is dark.",))
    assert [(one.number, one.reason, one.frame) for one in asked.pictures] == [(0, "worst", 7)]
    assert asked.lapses_to == "reject"
    assert anna.get(f"/jobs/{parked}/pictures").json() == [asked.pictures[0].model_dump()]
    server.put(parked, "running", review="success")
    assert parked not in anna.get("/reviews").text


def test_what_waits_is_listed_for_its_tenant_and_operators(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_TENANT_USERS", "anna=acme:bert=best")
    monkeypatch.setenv("SR_TENANT_PREFIX", "/media/{tenant}")
    anna = server.signed_in()
    job = str(anna.post("/jobs", json={"source": "/media/acme/film.mp4"}).json()["job_id"])
    server.put(job, "running", validate="success", review="awaiting_input")
    assert job in anna.get("/reviews").text
    assert job in server.signed_in("op", "olga").get("/reviews").text
    for name in ("bert", "carl"):
        assert server.signed_in(name=name).get("/reviews").json() == []


def test_who_may_not_decide_is_refused_and_so_is_a_decision_that_nobody_asked_for(
    server: Server, anna: TestClient, parked: str
) -> None:
    answer = {"decision": "approve", "note": "as meant"}
    refused(server.signed_in("viewer").post(f"/jobs/{parked}/review", json=answer), 403, "FORBIDDEN")
    refused(anna.post(f"/jobs/{parked}/review", json=answer), 409, "NOT_WAITING")
    refused(anna.post("/jobs/nowhere/review", json=answer), 404, "NOT_FOUND")
    refused(anna.post(f"/jobs/{parked}/review", json={"decision": "perhaps"}), 422, "USAGE")


def test_the_source_of_a_job_is_shown_as_long_as_it_is_the_one_that_the_job_looked_at(
    server: Server, anna: TestClient, tmp_path: Path
) -> None:
    clip = clips.make(tmp_path / "film.mp4", frames=5)
    job = str(anna.post("/jobs", json={"source": str(clip), "model": "bicubic"}).json()["job_id"])
    refused(anna.get(f"/jobs/{job}/source"), 404, "INPUT_NOT_FOUND")
    validate.run(JobSpec(source=str(clip), model="bicubic"), job, Settings.from_env())
    seen = server.signed_in("viewer").get(f"/jobs/{job}/source", headers={"Range": "bytes=4-11"})
    assert (seen.status_code, seen.content) == (206, clip.read_bytes()[4:12])
    clips.make(clip, frames=6)
    refused(anna.get(f"/jobs/{job}/source"), 404, "INPUT_NOT_FOUND")


def test_the_page_is_whole_and_runs_nothing_but_its_own_files(server: Server) -> None:
    reader = server.as_nobody(below="/enhance")
    page = reader.get("/")
    assert page.headers["content-type"].startswith("text/html")
    rules = dict(rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["style-src"], rules["connect-src"]) == ("'self'", "'self'", "'self'")
    assert rules["frame-ancestors"] == "'self'"
    wanted, seen = ["index.html"], set[str]()
    while wanted:
        seen.add(name := wanted.pop())
        answer = reader.get(f"/{name}")
        assert answer.status_code == 200, name
        found = re.findall(r'(?:src|href)="([\w.-]+)"|from "\./([\w.-]+)"', answer.text)
        wanted += [one for pair in found for one in pair if one and one not in seen]
        assert not re.findall(r"""(?:src|href|from|url\()\s*=?\s*["']?https?:""", answer.text), (
            "it loads from elsewhere"
        )
    assert seen == {file.name for file in FOLDER.iterdir()}
