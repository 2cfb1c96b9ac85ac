"""Housekeeping: what jobs left goes by age and by size, what is at work stays, and nothing goes unasked."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from sr_tasks import __main__ as cli
from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.steps import purge
from sr_tasks.storage.workdir import ChunkStore
from tests.object_store import serving

DAY_S = 86400.0
FINGERPRINT = "0123456789abcdef"


def nobody(job_id: str) -> bool:
    return False


def aged(path: Path, days: float) -> Path:
    """Last written so many days ago, and all that is in it."""
    at = time.time() - days * DAY_S
    for each in (*path.rglob("*"), path):
        os.utime(each, (at, at))
    return path


@pytest.fixture
def job(settings: Settings) -> Callable[..., Path]:
    """A job's folder with a big file in it."""

    def make(job_id: str, *, days: float, size: int = 1000, **source: str) -> Path:
        folder = JobFolder(settings.workdir, job_id)
        folder.store_json("job", {"id": job_id})
        folder.store_json("source", source)
        (folder.path / "output.mp4").write_bytes(bytes(size))
        return aged(folder.path, days)

    return make


@pytest.fixture
def s3_endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as address:
        yield address


@pytest.fixture
def chunks(settings: Settings) -> Callable[..., Path]:
    def make(*users: str, days: float, fingerprint: str = FINGERPRINT) -> Path:
        store = ChunkStore(settings.workdir, fingerprint)
        for user in users:
            store.register(user)
        store.path.mkdir(parents=True, exist_ok=True)
        store.chunk_path(0).write_bytes(bytes(500))
        return aged(store.path, days)

    return make


def test_without_confirm_it_says_what_would_go_and_stays(settings: Settings, job: Callable[..., Path]) -> None:
    old, young = job("old", days=8), job("young", days=6)
    said = purge.run(settings, nobody, confirm=False)
    assert (said["items"], said["paths"]) == (1, ["jobs/old"])
    assert said["bytes"] >= 1000
    assert old.is_dir()
    assert purge.run(settings, nobody, confirm=True)["items"] == 1
    assert not old.exists()
    assert young.is_dir()
    assert purge.run(settings, nobody, confirm=True)["items"] == 0


def test_a_job_that_waits_for_a_person_for_weeks_is_not_touched_nor_are_its_chunks(
    settings: Settings, job: Callable[..., Path], chunks: Callable[..., Path]
) -> None:
    live = "manual__2026-11-01T00:00:00+00:00"  # its folder has another name
    folder, registered = job(live, days=30), chunks(live, days=30)
    released = chunks(days=30, fingerprint="feedfeedfeed")
    (folder / "model.json").write_text(json.dumps({"fingerprint": "feedfeedfeed"}))
    aged(folder, 30)
    assert purge.run(settings, lambda job_id: job_id == live, confirm=True)["items"] == 0
    assert folder.is_dir()
    assert registered.is_dir()
    assert released.is_dir()
    assert purge.run(settings, nobody, confirm=True)["items"] == 3
    assert not list((settings.workdir / "chunks").glob("[0-9a-f]*"))
    assert not list((settings.workdir / "trash").iterdir())


def test_a_job_of_a_command_line_that_runs_is_not_touched(settings: Settings, job: Callable[..., Path]) -> None:
    folder = job("cli-1", days=30)
    (folder / ".lock").touch()
    aged(folder, 30)
    with (folder / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert purge.run(settings, nobody, confirm=True)["items"] == 0
    assert purge.run(settings, nobody, confirm=True)["items"] == 1


def test_of_too_much_the_oldest_goes_and_the_last_hour_stays(settings: Settings, job: Callable[..., Path]) -> None:
    folders = [job(name, days=days, size=10_000) for name, days in (("a", 3), ("b", 2), ("c", 1), ("d", 0.01))]
    purge.run(replace(settings, keep_bytes=25_000), nobody, confirm=True)
    assert [folder.name for folder in folders if folder.exists()] == ["c", "d"]
    purge.run(replace(settings, keep_bytes=0), nobody, confirm=True)
    assert [folder.name for folder in folders if folder.exists()] == ["d"]


def test_uploads_go_by_age_alone_and_never_under_a_job_that_waits(settings: Settings, job: Callable[..., Path]) -> None:
    def sent(name: str, days: float) -> Path:
        folder = settings.workdir / "uploads" / name
        folder.mkdir(parents=True)
        (folder / "film.mp4").write_bytes(bytes(1000))
        return aged(folder, days)

    young, old, needed = sent("a", 1), sent("b", 30), sent("c", 30)
    job("waits", days=20, uri=f"file://{needed}/film.mp4")
    purge.run(replace(settings, keep_bytes=0), lambda job_id: job_id == "waits", confirm=True)
    assert [folder.exists() for folder in (young, old, needed)] == [True, False, True]


def test_chunks_that_a_job_takes_up_meanwhile_stay(settings: Settings, chunks: Callable[..., Path]) -> None:
    folder = chunks(days=30)
    store = ChunkStore(settings.workdir, FINGERPRINT)
    seen = store.users()
    store.register("a new job")
    assert store.discard(seen, older_than_s=DAY_S) is False
    assert folder.is_dir()


def test_what_the_command_line_clears_is_its_own(
    settings: Settings, job: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    own, airflows = job("cli-7", days=30), job("scheduled__1", days=30)
    command = ["purge", "--workdir", str(settings.workdir)]
    assert cli.main(command) == 0
    assert "Would remove 1 items" in capsys.readouterr().out
    assert own.is_dir()
    assert cli.main([*command, "--confirm"]) == 0
    assert not own.exists()
    assert airflows.is_dir()
    assert cli.main([*command, "--confirm", "--airflow-stopped"]) == 0
    assert not airflows.exists()


def test_an_upload_that_a_dead_job_never_finished_is_ended_and_no_other_one(
    settings: Settings, job: Callable[..., Path], s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.create_bucket(Bucket="results")
    for key in ("a.mp4", "a.mp4.of-somebody-else", "b.mp4"):
        client.create_multipart_upload(Bucket="results", Key=key)
    settings = replace(settings, s3_endpoint_url=s3_endpoint)
    job("dead", days=30, output_uri="s3://results/a.mp4")
    monkeypatch.setattr(purge, "SPARED_S", -60.0)  # as if the upload was begun long ago
    assert purge.run(settings, nobody, confirm=True)["items"] == 1
    left = [upload["Key"] for upload in client.list_multipart_uploads(Bucket="results")["Uploads"]]
    assert left == ["a.mp4.of-somebody-else", "b.mp4"]


def test_a_job_whose_store_does_not_answer_is_left_for_another_time(
    settings: Settings, job: Callable[..., Path]
) -> None:
    folder = job("dead", days=30, output_uri="s3://results/a.mp4")
    assert purge.run(replace(settings, s3_endpoint_url="http://127.0.0.1:9"), nobody, confirm=True)["items"] == 0
    assert folder.is_dir()
