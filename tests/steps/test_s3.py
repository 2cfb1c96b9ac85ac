"""A job from bucket to bucket, over HTTP against a server that speaks S3."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputChanged, InputNotFound, TargetExists, UriNotAllowed
from sr_tasks.jobs.removal import remove_delivered
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import gate, pipeline
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make
from tests.object_store import serving
from tests.steps.conftest import Enhance


@pytest.fixture
def store(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Settings]]:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with serving() as endpoint:
        client = boto3.client("s3", endpoint_url=endpoint)
        client.create_bucket(Bucket="archive")
        yield client, dataclasses.replace(settings, s3_endpoint_url=endpoint, allowed_buckets=("archive",))


def run(source: str, output: str, settings: Settings, **more: Any) -> dict[str, Any]:
    spec = JobSpec(source=source, output=output, model="bicubic", preset="ultrafast", **more)
    return pipeline.run(spec, "job", settings, Observers())


def test_a_job_from_bucket_to_bucket_gives_the_same_file_as_a_local_one(
    store: tuple[Any, Settings], enhance: Enhance, tmp_path: Path
) -> None:
    client, settings = store
    source = make(tmp_path / "clip.mp4", Clip(frames=20, sound="aac"))
    local = Path(enhance(source)["output"])
    client.upload_file(str(source), "archive", "in/ein film.mp4")
    result = run("s3://archive/in/ein film.mp4", "", settings)
    assert result["output"] == "s3://archive/in/ein film_x2.mp4"
    keys = {item["Key"] for item in client.list_objects_v2(Bucket="archive")["Contents"]}
    added = {"in/ein film_x2.mp4" + suffix for suffix in ("", ".manifest.json", ".report.html")}
    assert keys == added | {"in/ein film.mp4"}
    body = client.get_object(Bucket="archive", Key="in/ein film_x2.mp4")["Body"].read()
    assert body == local.read_bytes()
    manifest = json.loads(client.get_object(Bucket="archive", Key="in/ein film_x2.mp4.manifest.json")["Body"].read())
    assert manifest["source"]["uri"] == "s3://archive/in/ein film.mp4"
    assert not [path for path in settings.workdir.rglob("*") if path.is_file() and path.suffix in (".mp4", ".nut")]


def test_poster_and_contact_sheet_lie_in_the_bucket_and_go_with_the_output(
    store: tuple[Any, Settings], tmp_path: Path
) -> None:
    client, settings = store
    client.upload_file(str(make(tmp_path / "clip.mp4", frames=6)), "archive", "clip.mp4")
    result = run("s3://archive/clip.mp4", "s3://archive/out.mp4", settings, poster=True, contact_sheet=True)

    def keys() -> set[str]:
        return {item["Key"] for item in client.list_objects_v2(Bucket="archive")["Contents"]}

    suffixes = ("", ".poster.jpg", ".contact.jpg", ".manifest.json", ".report.html")
    assert keys() == {"clip.mp4", *(f"out.mp4{suffix}" for suffix in suffixes)}
    remove_delivered("job", {key: result[key] for key in ("output", "manifest")}, settings)
    assert keys() == {"clip.mp4"}


def test_what_cannot_be_used_in_a_bucket_is_refused(store: tuple[Any, Settings], tmp_path: Path) -> None:
    client, settings = store
    source = make(tmp_path / "clip.mp4", frames=4)
    client.upload_file(str(source), "archive", "clip.mp4")
    client.put_object(Bucket="archive", Key="clip_x2.mp4", Body=b"precious")
    with pytest.raises(InputNotFound):
        run("s3://archive/nothing.mp4", "", settings)
    with pytest.raises(TargetExists):
        run("s3://archive/clip.mp4", "", settings)
    with pytest.raises(UriNotAllowed):
        run("s3://elsewhere/clip.mp4", "", settings)
    assert client.get_object(Bucket="archive", Key="clip_x2.mp4")["Body"].read() == b"precious"


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_overtaken_version_never_replaces_the_output_of_the_newer_one(
    store: tuple[Any, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    """The source is replaced, and the newer version's job delivers, while the older version's is being judged."""
    client, settings = store
    older, newer = make(tmp_path / "older.mp4", frames=4), make(tmp_path / "newer.mp4", frames=6)
    client.upload_file(str(older), "archive", "in/clip.mp4")
    judge = gate.run

    def overtaken(job_id: str, settings: Settings) -> dict[str, Any]:
        client.upload_file(str(newer), "archive", "in/clip.mp4")
        client.put_object(Bucket="archive", Key="out/clip.mp4", Body=b"of the newer version")
        return judge(job_id, settings)

    monkeypatch.setattr(gate, "run", overtaken)
    with pytest.raises(InputChanged if overwrite else TargetExists):
        run("s3://archive/in/clip.mp4", "s3://archive/out/clip.mp4", settings, overwrite=overwrite)
    assert client.get_object(Bucket="archive", Key="out/clip.mp4")["Body"].read() == b"of the newer version"


def test_a_source_that_was_taken_away_meanwhile_is_delivered_all_the_same(
    store: tuple[Any, Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, settings = store
    client.upload_file(str(make(tmp_path / "clip.mp4", frames=4)), "archive", "in/clip.mp4")
    judge = gate.run

    def without_source(job_id: str, settings: Settings) -> dict[str, Any]:
        client.delete_object(Bucket="archive", Key="in/clip.mp4")
        return judge(job_id, settings)

    monkeypatch.setattr(gate, "run", without_source)
    run("s3://archive/in/clip.mp4", "s3://archive/out/clip.mp4", settings, overwrite=True)
    assert client.head_object(Bucket="archive", Key="out/clip.mp4")["ContentLength"] > 0
