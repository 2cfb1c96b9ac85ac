"""How long a try may take: from the plan's estimate, never too little for a slow machine, never for ever."""

import dataclasses
import logging
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from tests.clips import Clip, make
from tests.dags.fakes import FakeSteps
from tests.dags.receivers import Webhook

RunDag = Callable[..., Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(Settings(), workdir=tmp_path / "work", state_dir=tmp_path / "state", gpu_wait_s=0.0)


@pytest.fixture
def prepared(settings: Settings, tmp_path: Path) -> Settings:
    """A job of many chunks, up to where they are computed."""
    from sr_tasks.steps import plan, prepare_model, validate

    source = make(tmp_path / "a.mp4", Clip(frames=60, options={"g": "10"}))
    spec = JobSpec(source=str(source), output=str(tmp_path / "out.mp4"), model="bicubic", preset="ultrafast")
    settings = dataclasses.replace(settings, chunk_target_s=0.005, threads=1)
    validate.run(spec, "job", settings)
    assert plan.run("job", settings)["chunks"] == list(range(6))
    prepare_model.run("job", settings)
    return settings


def _limit(step: str, settings: Settings, chunk: int | None = None, attempt: int = 1) -> Any:
    from sr_airflow.time_limits import of_try

    return of_try(step, "job", chunk, attempt, settings)


def test_a_chunk_may_take_many_times_what_the_card_and_the_encoder_say(prepared: Settings) -> None:
    slow = dataclasses.replace(prepared, step_limit_minutes=0.0)
    limit = _limit("upscale", slow, chunk=0)
    card_s = 0.05 * 160 * 96 / 1e6 * 10  # seconds a source megapixel takes, pixels, frames
    assert card_s < limit.estimate_s < 10 * card_s
    assert limit.limit_s == pytest.approx(20 * limit.estimate_s)
    assert _limit("upscale", prepared, chunk=0).limit_s == 15 * 60


def test_a_slower_encoder_is_given_more_time(prepared: Settings) -> None:
    quick = _limit("upscale", prepared, chunk=0).estimate_s
    folder = JobFolder(prepared.workdir, "job")
    spec = folder.load("spec", JobSpec)
    folder.store("spec", spec.model_copy(update={"codec": "hevc", "preset": "veryslow"}))
    assert _limit("upscale", prepared, chunk=0).estimate_s > 5 * quick


def test_what_finished_chunks_took_counts_where_it_is_more(prepared: Settings) -> None:
    """A machine a thousand times slower than the card says."""
    from sr_tasks.records.job import ModelRecord
    from sr_tasks.steps import upscale
    from sr_tasks.storage.atomic import write_text
    from sr_tasks.storage.workdir import ChunkStore

    before = _limit("upscale", prepared, chunk=5).estimate_s
    upscale.run("job", 0, prepared)
    store = ChunkStore(prepared.workdir, JobFolder(prepared.workdir, "job").load("model", ModelRecord).fingerprint)
    marker = store.marker_path(0)
    text, done = marker.read_text(), store.committed(0)
    assert done is not None
    write_text(marker, text.replace(f'"seconds": {done["seconds"]}', '"seconds": 500.0'))
    assert before < 5
    assert _limit("upscale", prepared, chunk=5).estimate_s == pytest.approx(500.0)
    assert _limit("upscale", prepared, chunk=5).limit_s == pytest.approx(20 * 500.0)


def test_each_further_try_has_twice_the_time_and_none_more_than_twelve_hours(prepared: Settings) -> None:
    minutes = [_limit("upscale", prepared, chunk=0, attempt=attempt).limit_s / 60 for attempt in (1, 2, 3, 4, 40)]
    assert minutes == [15, 30, 60, 120, 12 * 60]


def test_a_gpu_may_be_waited_for_besides(prepared: Settings) -> None:
    waiting = dataclasses.replace(prepared, gpu_wait_s=600.0)
    assert _limit("upscale", waiting, chunk=0).limit_s == 15 * 60 + 600


def test_steps_whose_work_no_plan_decides_have_the_longest(settings: Settings) -> None:
    for step in ("validate", "plan", "prepare_model", "gate", "deliver", "report", "clean"):
        limit = _limit(step, settings)
        assert (limit.limit_s, limit.estimate_s) == (12 * 3600, None)


def test_steps_over_the_whole_output_grow_with_it(prepared: Settings) -> None:
    megapixels = Fraction(320 * 192 * 60, 10**6)
    for step in ("assemble", "assess"):
        assert 0.001 < _limit(step, prepared).estimate_s / float(megapixels) < 0.1


def test_a_try_past_its_limit_is_stopped_by_airflow_tried_again_and_told(
    steps: FakeSteps,
    dag: Any,
    run_dag: RunDag,
    alerted: Path,
    webhook: Webhook,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Airflow's own clock, set before it starts: the step would take ten minutes, and every try has less."""
    import sys

    tries = []

    def standing_still(*_: Any, **__: Any) -> dict[str, Any]:
        tries.append(1)
        time.sleep(600)
        return {}

    package = sys.modules["sr_tasks.steps"]
    monkeypatch.setattr(package, "validate", SimpleNamespace(run=standing_still))
    monkeypatch.setattr(
        package, "estimate", SimpleNamespace(seconds=lambda step, *_: 3.0 if step == "validate" else None)
    )
    monkeypatch.setenv("SR_STEP_LIMIT_MINUTES", "0.01")
    monkeypatch.setenv("SR_STEP_LIMIT_FACTOR", "1")
    monkeypatch.setattr(dag.get_task("validate"), "retries", 1)
    with caplog.at_level(logging.INFO):
        run = run_dag()
    assert run.state == "failed"
    assert len(tries) == 2
    said = [line for line in caplog.messages if "time limit of this try" in line]
    assert said == [f"The time limit of this try is {limit} s (it was estimated to take 3 s)." for limit in (3, 6)]
    (text,) = webhook.texts
    assert "`STEP_TIMED_OUT`" in text
    assert "validate was not done within its time limit of 6 s (it was estimated to take 3 s)." in text
    assert "/tasks/validate|Log>" in text
