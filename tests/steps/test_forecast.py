"""What is said before a job of what it will take, and how that follows from the jobs before it."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from sr_tasks import __main__ as cli
from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.view import JobView
from sr_tasks.records.forecast import Forecast
from sr_tasks.steps import validate
from sr_tasks.steps.shared import learned
from tests.readers import H264, ffmpeg
from tests.steps.conftest import Enhance


def clip(path: Path, frames: int = 100, size: str = "96x64") -> Path:
    return ffmpeg(path, "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={frames / 25}", *H264)


def told(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.with_name(f"{output.name}.manifest.json").read_text())["forecast"]
    return found


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_the_size_of_the_first_job_is_told_from_its_rehearsal(codec: str, tmp_path: Path, enhance: Enhance) -> None:
    enhance(clip(tmp_path / "in.mkv"), "out.mkv", codec=codec)
    found = told(tmp_path / "out.mkv")
    size = (tmp_path / "out.mkv").stat().st_size
    assert found["actual"]["size_bytes"] == size
    assert found["forecast"]["size_bytes"] == pytest.approx(size, rel=0.5)
    assert "the card of the model" in found["forecast"]["basis"]


def test_later_jobs_are_told_from_earlier_ones(tmp_path: Path, enhance: Enhance) -> None:
    for number in (1, 2):
        enhance(clip(tmp_path / f"in{number}.mkv", frames=40 * number), f"out{number}.mkv")
    found = told(tmp_path / "out2.mkv")
    assert "an earlier job" in found["forecast"]["basis"]
    size = (tmp_path / "out2.mkv").stat().st_size
    assert found["forecast"]["size_bytes"] == pytest.approx(size, rel=0.3)


def test_who_looks_at_a_job_sees_its_forecast_and_its_price(tmp_path: Path, settings: Settings) -> None:
    priced = dataclasses.replace(settings, device_hour_cost=3.6e6)
    spec = JobSpec(source=str(clip(tmp_path / "in.mp4")), model="bicubic", preset="ultrafast")
    validate.run(spec, "job-1", priced)
    said = JobView.of(JobFolder(priced.workdir, "job-1")).forecast
    assert said is not None
    assert said.cost is not None
    assert 0 < said.cost / 1000 < said.seconds
    assert JobView.of(JobFolder(priced.workdir, "job-2")).forecast is None


def test_a_plan_tells_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, work = clip(tmp_path / "in.mp4"), tmp_path / "work"
    cli.main(["probe", str(source), "--plan", "--model", "bicubic", "--workdir", str(work)])
    assert "Forecast: about " in capsys.readouterr().out
    assert cli.main(["probe", str(source), "--plan", "--size", "90x60", "--workdir", str(work)]) != 0
    assert "size=90x60 would make 90x60" in capsys.readouterr().err


def test_what_grows_with_a_job_is_told_apart_from_what_does_not(settings: Settings) -> None:
    samples = tuple((float(amount), 3.0 + 2.0 * amount) for amount in (1, 5, 20))
    assert learned.expected(samples, 100.0) == pytest.approx(203.0)
    assert learned.expected(((10.0, 5.0),), 30.0) == pytest.approx(15.0)
    assert learned.expected(((1.0, 5.0), (10.0, 4.0)), 100.0) == pytest.approx(20**0.5)


def test_the_last_jobs_count_and_a_damaged_file_does_not(settings: Settings) -> None:
    for number in range(60):
        learned.learn("work", 1.0, float(number), settings)
    assert [took for _, took in learned.known("work", settings)] == [float(number) for number in range(10, 60)]
    (file,) = (settings.workdir / "learned").glob("*.json")
    file.write_text("{")
    assert learned.known("work", settings) == ()


def test_a_forecast_reads_as_a_sentence() -> None:
    said = Forecast(seconds=61.4, size_bytes=2_340_000, cost=0.5, basis="time from an earlier job")
    assert str(said) == "about 61 s of work, 2.3 MB, cost 0.5000 (time from an earlier job)"
