"""The night: what counts as up to date, what is begun in which order, and where the budget ends."""

import dataclasses
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as no_deadline
from hypothesis import strategies as st

from sr_tasks.arrivals import night
from sr_tasks.arrivals.archive import walk
from sr_tasks.arrivals.rules import Night, load
from sr_tasks.config import Settings
from sr_tasks.errors import StorageUnavailable, UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from tests import clips
from tests.arrivals.conftest import Shelf

NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path


@pytest.fixture
def ruled(home: Path) -> Callable[..., Settings]:
    """Settings under rules for the folder `archive`, with fields of the job and of the night."""

    def rule(job: dict[str, Any] | None = None, **night: Any) -> Settings:
        archive = {
            "prefix": f"{home}/archive/",
            "output": f"{home}/out/{{folder}}{{stem}}_x{{scale}}{{suffix}}",
            "job": {"model": "bicubic", "preset": "ultrafast", **(job or {})},
        }
        file = home / "arrivals.yaml"
        file.write_text(json.dumps({"archives": [archive], "night": night}))
        return dataclasses.replace(
            Settings(), workdir=home / "work", state_dir=home / "state", arrivals_file=str(file), precision="fp32"
        )

    return rule


def reasons(settings: Settings) -> list[str]:
    return [wanted.reason for wanted in walk(load(settings), settings).wanted]


def film(path: Path, megabytes: float, written_s: float) -> None:
    path.write_bytes(b"x" * int(megabytes * 1e6))
    os.utime(path, (written_s, written_s))


def test_an_output_is_up_to_date_until_source_settings_or_model_change(
    home: Path, ruled: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, settings = clips.make(home / "archive" / "a.mp4", frames=6), ruled()
    (wanted,) = walk(load(settings), settings).wanted
    assert wanted.reason == "there is no output with a manifest"
    pipeline.run(job_spec(wanted.conf), wanted.job_id, settings, Observers())

    done = walk(load(settings), settings)
    assert (done.stale, done.up_to_date, done.wanted) == (0, 1, ())
    assert done.device_s_per_byte is not None

    os.utime(source, (1, 1))
    assert reasons(settings) == [], "the same content with another time is the same source"

    assert reasons(ruled({"crf": 30})) == ["crf changed"]
    assert reasons(ruled({"model": "compact-x2"})) == ["the model is to be compact-x2, not bicubic"]
    assert reasons(ruled({"model": "bicubic@9"})) == ["version 1 of bicubic is no longer what jobs get"]

    source.write_bytes(source.read_bytes()[:-1] + b"?")
    assert reasons(ruled()) == ["the source has changed"]

    manifest = next((home / "out").glob("*.manifest.json"))
    manifest.write_text("{}")
    assert reasons(settings) == ["its manifest cannot be read"]


def test_another_state_of_things_is_another_job(home: Path, ruled: Callable[..., Settings]) -> None:
    film(home / "archive/a.mp4", 0.01, 1000)
    first = walk(load(ruled()), ruled()).wanted[0].job_id
    assert walk(load(ruled()), ruled()).wanted[0].job_id == first
    settings = ruled({"crf": 30})
    assert walk(load(settings), settings).wanted[0].job_id != first


def test_jobs_of_the_night_give_way_to_others_unless_the_rules_say_so(
    home: Path, ruled: Callable[..., Settings]
) -> None:
    film(home / "archive/a.mp4", 0.01, 1000)
    for job, wanted in (({}, "low"), ({"priority": "high"}, "high")):
        settings = ruled(job)
        assert job_spec(walk(load(settings), settings).wanted[0].conf).priority == wanted


@pytest.mark.parametrize(("order", "first"), [("newest", "c.mp4"), ("oldest", "a.mp4")])
def test_the_night_begins_with_the_newest_or_the_oldest(
    home: Path, ruled: Callable[..., Settings], order: str, first: str
) -> None:
    for number, name in enumerate(("b.mp4", "c.mp4", "a.mp4")):
        film(home / "archive" / name, 0.01, 1000 + (number, number + 5, number - 5)[number])
    settings = ruled(order=order)
    assert walk(load(settings), settings).wanted[0].conf["source"].endswith(first)


def advance(settings: Settings, shelf: Shelf, ends: str = "success") -> int:
    """Let the night go on until it is over; gives the most jobs that ran at once."""
    most = 0
    for _ in range(100):
        over = night.advance("run", shelf, settings, NOW)
        most = max(most, shelf.waiting())
        if over:
            return most
        shelf.states |= {job_id: ends for job_id in shelf.jobs if job_id not in shelf.states}
    raise AssertionError("the night has no end")


def test_the_budget_in_device_hours_is_kept_and_what_is_left_is_told(
    home: Path, ruled: Callable[..., Settings], shelf: Shelf
) -> None:
    for number in range(10):
        film(home / "archive" / f"{number}.mp4", 1, 1000 + number)
    settings = ruled(device_hours=4 / 60, device_s_per_mb=60, at_once=2)
    assert night.choose("run", settings, NOW) == {"stale": 10, "up_to_date": 0, "refused": 0}
    assert advance(settings, shelf) == 2
    report = night.report("run", settings)
    assert (report["completed"], report["left"], report["left_over_budget"]) == (4, 6, 6)
    assert report["device_hours"] == pytest.approx(4 / 60, abs=1e-3)
    assert [Path(source).name for source in shelf.sources()] == ["6.mp4", "7.mp4", "8.mp4", "9.mp4"]


def test_money_is_device_hours_at_their_price(home: Path, ruled: Callable[..., Settings], shelf: Shelf) -> None:
    for number in range(5):
        film(home / "archive" / f"{number}.mp4", 1, 1000 + number)
    settings = ruled(money=6, device_s_per_mb=3600)
    with pytest.raises(UsageError, match="price"):
        night.choose("run", settings, NOW)
    settings = dataclasses.replace(settings, device_hour_cost=2.0)
    night.choose("run", settings, NOW)
    advance(settings, shelf)
    assert (night.report("run", settings)["completed"], night.report("run", settings)["cost"]) == (3, 6.0)


def test_a_job_that_would_not_end_before_closing_time_gives_way_to_a_shorter_one(
    home: Path, ruled: Callable[..., Settings], shelf: Shelf
) -> None:
    film(home / "archive/long.mp4", 1.5, 2000)
    film(home / "archive/short.mp4", 0.5, 1000)
    settings = ruled(closes="23:00", device_s_per_mb=3600)
    night.choose("run", settings, NOW)
    advance(settings, shelf)
    assert [Path(source).name for source in shelf.sources()] == ["short.mp4"]


def test_a_restart_in_the_middle_begins_nothing_twice_and_an_outage_ends_no_night(
    home: Path, ruled: Callable[..., Settings], shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        film(home / "archive" / f"{number}.mp4", 0.1, 1000 + number)
    settings = ruled(at_once=2)
    night.choose("run", settings, NOW)
    shelf.breaks_after = 1
    assert not night.advance("run", shelf, settings, NOW), "Airflow broke off after one job"
    shelf.breaks_after = None
    monkeypatch.setattr(shelf, "completed", lambda ids: (_ for _ in ()).throw(StorageUnavailable("away")))
    assert not night.advance("run", shelf, settings, NOW)
    monkeypatch.undo()
    advance(settings, shelf)
    assert len(shelf.jobs) == len(shelf.asked) == 4
    assert night.report("run", settings)["completed"] == 4


def test_failures_are_told_and_not_tried_again_every_night(
    home: Path, ruled: Callable[..., Settings], shelf: Shelf
) -> None:
    film(home / "archive/a.mp4", 0.1, 1000)
    settings = ruled()
    for state in ("failed", "failed before"):
        night.choose("run", settings, NOW)
        advance(settings, shelf, ends="failed")
        assert [row["state"] for row in night.report("run", settings)["failed"]] == [state]
    assert len(shelf.jobs) == 1


def test_an_output_that_somebody_removed_is_made_again(
    home: Path, ruled: Callable[..., Settings], shelf: Shelf
) -> None:
    film(home / "archive/a.mp4", 0.1, 1000)
    settings = ruled()
    night.choose("run", settings, NOW)
    advance(settings, shelf)
    night.choose("again", settings, NOW)
    assert not night.advance("again", shelf, settings, NOW)
    assert list(shelf.states.values()) == ["queued"], "the completed run was begun again"


@no_deadline(deadline=None)
@given(st.datetimes(), st.integers(0, 23), st.integers(0, 59))
def test_closing_time_is_the_next_such_time_of_day(now: datetime, hour: int, minute: int) -> None:
    if now.year >= 9999:
        return
    now = now.replace(tzinfo=UTC)
    closes = night.closing(Night(closes=f"{hour:02}:{minute:02}"), now)
    assert closes is not None
    assert timedelta(0) < closes - now <= timedelta(days=1)
    assert (closes.hour, closes.minute) == (hour, minute)
