"""What is read for the pages of a job: its own report and pictures, and nothing that only has their address."""

import base64
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from sr_console import reports

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import InputNotFound, SrError, UriNotAllowed
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.assessment import PicturePair, Pictures

JOB = "manual__2026-11-20T12:00:00+00:00"
PAGE = "<!doctype html><title>\N{CHECK MARK} film</title>".encode()
HEAVY = ("torch", "openvino", "onnxruntime", "onnx", "av", "cv2", "numpy", "sr_tasks.steps", "sr_tasks.quality")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "work", allowed_roots=(tmp_path / "videos",))


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A report beside an output."""
    path = tmp_path / "videos" / "film_x2.mp4.report.html"
    path.parent.mkdir()
    path.write_bytes(PAGE)
    return path


def _data_uri(content: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _pair(**views: str) -> PicturePair:
    """A row of pictures: the views that are given, else an empty PNG."""
    shown = {**dict.fromkeys(("source", "bicubic", "output"), _data_uri(b"")), **views}
    return PicturePair.model_validate(
        {"reason": "worst", "frame": 7, "time_s": 0.28, "x": 0, "y": 0, "width": 64, "height": 48, **shown}
    )


def _store(settings: Settings, *pairs: PicturePair) -> None:
    JobFolder(settings.workdir, JOB).store("pictures", Pictures(pairs))


def test_the_report_of_a_job_is_that_of_its_folder_and_none_once_that_is_cleared(settings: Settings) -> None:
    assert reports.in_folder(JOB, settings) is None
    folder = JobFolder(settings.workdir, JOB).path
    folder.mkdir(parents=True)
    (folder / "report.html").write_bytes(PAGE)
    assert reports.in_folder(JOB, settings) == PAGE


def test_a_picture_is_the_bytes_that_the_report_shows(settings: Settings) -> None:
    row = {"source": _data_uri(b"one"), "bicubic": _data_uri(b"two", "jpeg"), "output": _data_uri(b"three", "jpeg")}
    _store(settings, _pair(**row), _pair(**{**row, "output": _data_uri(b"other", "jpeg")}))
    first = reports.picture(JOB, 0, "source", settings)
    assert (first.content, first.media_type) == (b"one", "image/png")
    last = reports.picture(JOB, 1, "output", settings)
    assert (last.content, last.media_type) == (b"other", "image/jpeg")


@pytest.mark.parametrize("number", [-1, 1, 10**9])
def test_a_picture_that_the_report_does_not_have_is_not_there(settings: Settings, number: int) -> None:
    with pytest.raises(InputNotFound, match="no picture"):
        reports.picture(JOB, number, "output", settings)
    _store(settings, _pair())
    with pytest.raises(InputNotFound, match="no picture"):
        reports.picture(JOB, number, "output", settings)


@pytest.mark.parametrize(
    "uri", ["data:text/html;base64,PGI+", "data:image/svg+xml;base64,PGI+", "/etc/passwd", "", ","]
)
def test_nothing_but_a_png_or_jpeg_is_taken_for_a_picture(settings: Settings, uri: str) -> None:
    _store(settings, _pair(output=uri))
    with pytest.raises(InputNotFound, match="no picture"):
        reports.picture(JOB, 0, "output", settings)


def test_a_job_named_like_a_path_stays_in_its_folder(settings: Settings) -> None:
    (settings.workdir / "jobs").mkdir(parents=True)
    (settings.workdir / "report.html").write_bytes(b"not yours")
    with pytest.raises(SrError):
        reports.in_folder("..", settings)
    assert reports.in_folder("../", settings) is None


def test_a_report_is_read_from_beside_the_output(settings: Settings, beside: Path) -> None:
    assert reports.delivered(str(beside), settings) == PAGE
    assert reports.delivered(f"file://{beside}", settings) == PAGE


def test_nothing_but_a_report_in_an_allowed_folder_is_read(settings: Settings, beside: Path, tmp_path: Path) -> None:
    """The address comes from a record that users of Airflow can write."""
    outside = tmp_path / "secret.report.html"
    outside.write_bytes(b"secret")
    film, link = beside.with_name("film_x2.mp4"), beside.with_name("link.report.html")
    film.write_bytes(b"film")
    link.symlink_to(film)
    (beside.parent / "folder.report.html").mkdir()
    for uri, kind in (
        (str(outside), UriNotAllowed),
        (f"{beside.parent}/../secret.report.html", UriNotAllowed),
        ("/etc/passwd", UriNotAllowed),
        ("http://example.org/x.report.html", UriNotAllowed),
        (str(film), InputNotFound),
        (str(link), InputNotFound),
        (str(beside.parent / "folder.report.html"), UriNotAllowed),
        (str(beside.parent / "gone.report.html"), InputNotFound),
        ("", InputNotFound),
    ):
        with pytest.raises(kind):
            reports.delivered(uri, settings)


@pytest.fixture
def bucket(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    endpoint = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="enhanced")
    client.put_object(Bucket="enhanced", Key="a/film_x2.mp4.report.html", Body=PAGE)
    yield dataclasses.replace(settings, s3_endpoint_url=endpoint, allowed_buckets=("enhanced",))
    server.stop()


def test_a_report_is_read_from_a_bucket(bucket: Settings) -> None:
    assert reports.delivered("s3://enhanced/a/film_x2.mp4.report.html", bucket) == PAGE
    with pytest.raises(InputNotFound):
        reports.delivered("s3://enhanced/a/other.report.html", bucket)
    with pytest.raises(UriNotAllowed):
        reports.delivered("s3://theirs/a/film_x2.mp4.report.html", bucket)


def test_the_pages_load_nothing_that_computes_pictures(tmp_path: Path) -> None:
    """They run in Airflow's API server, whose image has none of it."""
    code = f"import sys, sr_console.app; print([name for name in {HEAVY} if name in sys.modules])"
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "plugins")),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
        "SR_REPO": str(REPOSITORY),
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.strip().splitlines()[-1].replace("'", '"')) == []
