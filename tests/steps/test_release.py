"""Releases end to end: a version is measured, compared, tried on jobs, and taken back by itself if it is worse."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from sr_tasks.__main__ import job_id_of
from sr_tasks.config import Settings
from sr_tasks.errors import QualityRefused, SrError, UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.registry.registry import Registry
from sr_tasks.release.golden import (
    items,
    measure,  # fmt: skip
)
from sr_tasks.release.observations import Observation, Observations
from sr_tasks.release.record import ReleaseRecords
from sr_tasks.release.request import ReleaseRequest, release_request
from sr_tasks.steps import (  # fmt: skip
    assemble,
    assess,
    clean,
    deliver,
    gate,
    pipeline,
    plan,
    prepare_model,
    release,
    release_watch,
    report,
    upscale,
    validate,
)
from sr_tasks.telemetry.progress import Observers
from tests.clips import Clip, make
from tests.graphs.sample_models import random_network, write_model

GATE = {"global_psnr_min": 20, "frame_psnr_min": 15, "block_psnr_min": 5, "ssim_min": 0.1, "plane_shift_max": 50,
        "block_shift_max": 250, "color_error_max": 50, "pixel_shift_max": 1, "seam_max": 200}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Three versions: 1 is production, 2 is nearly the same, 3 adds noise of its own to everything."""
    models = tmp_path / "models"
    for version, strength in (("1", 0.004), ("2", 0.002), ("3", 0.3)):
        network = random_network(seed=1, strength=strength, layers=2, width=4)
        write_model(models, "net", version, network=network, gate=GATE)
    settings = dataclasses.replace(
        Settings(), workdir=tmp_path / "w", models_dir=models, state_dir=tmp_path / "state", precision="fp32"
    )
    Registry.of(settings).promote("net@1", by="test")
    return settings


@pytest.fixture
def few_scenes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The whole set is measured by hand; a few of its scenes are enough for what the steps do with the figures."""
    classes = [one for one in items.CLASSES if one.name in ("bicubic", "noise-3", "clip")]
    scenes = [scene for scene in items.photographs() if scene.name == "coffee"]
    monkeypatch.setattr(items, "CLASSES", classes)
    monkeypatch.setattr(items, "photographs", lambda: scenes)
    monkeypatch.setattr(items, "drawn", lambda: ())
    measure.items_of.cache_clear()
    yield
    measure.items_of.cache_clear()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("source") / "clip.mp4", Clip(frames=12, width=160, height=96))


def job(source: Path, output: Path, settings: Settings, job_id: str) -> dict[str, Any]:
    spec = JobSpec(source=str(source), output=str(output), model="net", preset="ultrafast", overwrite=True)
    return pipeline.run(spec, job_id, settings, Observers())


def seen(settings: Settings, version: str) -> list[Observation]:
    return Observations(settings.state_dir).of("net", version)


def repeated(one: Observation, times: int, settings: Settings) -> None:
    """As if so many jobs more had told the same."""
    for number in range(times):
        fields = {"job_id": f"more-{number}", "at": datetime.now(UTC)}
        Observations(settings.state_dir).put(one.model_copy(update=fields))


@pytest.mark.usefixtures("few_scenes")
def test_a_release_measures_compares_and_puts_the_version_out_at_its_share(settings: Settings) -> None:
    request = release_request({"name": "net", "version": "2", "share": 0.25, "shadow": 0.5})
    result = release.run(request, "ann", settings)
    channels = Registry.of(settings).channels("net")
    assert (channels.production, channels.candidate, channels.share, channels.shadow) == ("1", "2", 0.25, 0.5)
    page = Path(result["report"])
    assert "net@2 against net@1" in page.read_text()
    told = json.loads(page.with_name("release.json").read_text())
    assert told["accepted"]
    assert {row["degradation"] for row in told["rows"]} == {"bicubic", "noise-3", "clip"}
    assert release.run(request, "ann", settings) == result, "the same release again changes nothing"
    assert Registry.of(settings).channels("net").history == channels.history


@pytest.mark.usefixtures("few_scenes")
def test_a_version_that_is_worse_on_the_golden_set_is_refused_and_its_report_kept(settings: Settings) -> None:
    with pytest.raises(QualityRefused, match="net@3 was not released") as refused:
        release.run(release_request({"name": "net", "version": "3"}), "ann", settings)
    page = Path(refused.value.hint.removeprefix("The report is kept: ").rstrip("."))
    assert "Refused as candidate" in page.read_text()
    assert Registry.of(settings).channels("net").candidate is None


def test_a_release_of_nothing_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="No model"):
        release_request({"share": 0.5})
    with pytest.raises(UsageError, match=r"share: .*got 2"):
        release_request({"name": "net", "share": 2})


def test_a_worse_candidate_is_taken_back_by_the_jobs_themselves(source: Path, settings: Settings) -> None:
    registry = Registry.of(settings)
    registry.put_candidate("net@3", share=0.5, by="ann")
    drawn = [name for name in map(str, range(40)) if registry.resolve("net", name)[0].label == "net@3"]
    others = [name for name in map(str, range(40)) if name not in drawn]
    assert job(source, source.with_name("a.mp4"), settings, drawn[0])["model"] == "net@3"
    assert job(source, source.with_name("b.mp4"), settings, others[0])["model"] == "net@1"
    (bad,), (good,) = seen(settings, "3"), seen(settings, "1")
    assert bad.other == "1"
    assert all(pair.own_psnr < pair.other_psnr - 0.4 for pair in bad.pairs)
    assert good.other == "3"
    assert all(pair.own_psnr > pair.other_psnr + 0.4 for pair in good.pairs)
    assert bad.verdict == "passed"
    assert bad.seconds_per_megapixel is not None
    assert registry.channels("net").candidate == "3", "two jobs are no reason yet"

    repeated(bad, 20, settings)
    alarms: list[str] = []
    sink = logger.add(lambda message: alarms.append(str(message)), level="CRITICAL")
    job(source, source.with_name("c.mp4"), settings, others[1])
    logger.remove(sink)
    channels = registry.channels("net")
    assert (channels.candidate, channels.production) == (None, "1")
    assert (channels.history[-1].action, channels.history[-1].by) == ("rollback", "rule")
    ended = ReleaseRecords(settings.state_dir, "net", "3").ended()
    assert ended is not None
    assert (ended.decision, ended.by) == ("rollback", "rule")
    assert ended.judgement is not None
    assert ended.judgement.paired_jobs >= 20
    assert len(alarms) == 1
    assert "net@3 was taken back" in alarms[0]
    with pytest.raises(UsageError, match="not the candidate any more"):
        release.promote("net@3", "ann", settings)
    again = job(source, source.with_name("d.mp4"), settings, drawn[1])
    assert again["model"] == "net@1"


def test_the_watch_takes_a_worse_candidate_back_without_any_job_ending_and_once(settings: Settings) -> None:
    Registry.of(settings).put_candidate("net@2", share=0.5, by="ann")
    assert release_watch.run(settings) == {"decisions": {"net@2": "watch"}}
    fine = Observation(name="net", version="1", job_id="y", at=datetime.now(UTC))
    repeated(fine, 16, settings)
    failed = Observation(name="net", version="2", job_id="x", at=datetime.now(UTC), error_code="QUALITY_REFUSED")
    repeated(failed, 16, settings)
    assert release_watch.run(settings) == {"decisions": {"net@2": "rollback"}}
    assert release.outcome("net@2", settings) == "rollback"
    assert release_watch.run(settings) == {"decisions": {}}
    history = Registry.of(settings).channels("net").history
    assert [change.action for change in history].count("rollback") == 1


def test_what_jobs_told_of_an_earlier_candidacy_does_not_count_again(settings: Settings) -> None:
    registry = Registry.of(settings)
    registry.put_candidate("net@2", share=0.5, by="ann")
    old = Observation(
        name="net", version="2", job_id="x", at=datetime(2020, 1, 1, tzinfo=UTC), error_code="CHUNK_FAILED"
    )
    for number in range(40):
        Observations(settings.state_dir).put(old.model_copy(update={"job_id": f"old-{number}"}))
    assert release_watch.run(settings) == {"decisions": {"net@2": "watch"}}


@pytest.mark.usefixtures("few_scenes")
def test_with_policy_auto_the_rule_promotes_a_candidate_that_is_not_worse(settings: Settings) -> None:
    request = ReleaseRequest(name="net", version="2", policy="auto", share=0.5)
    release.run(request, "ann", settings)
    pair = {"own_psnr": 30.1, "other_psnr": 30.0, "own_seconds": 1.0, "other_seconds": 1.0}
    one = Observation.model_validate(
        {"name": "net", "version": "2", "job_id": "x", "at": datetime.now(UTC), "other": "1", "pairs": [pair]}
    )
    repeated(one, 40, settings)
    assert release.outcome("net@2", settings) is None, "too few jobs yet"
    repeated(one, 80, settings)
    assert release.outcome("net@2", settings) == "promote"
    channels = Registry.of(settings).channels("net")
    assert (channels.production, channels.candidate) == ("2", None)
    assert channels.history[-1].by == "rule"


def test_a_job_under_way_keeps_its_version_through_rollback_promotion_and_retry(
    source: Path, tmp_path: Path, settings: Settings
) -> None:
    registry = Registry.of(settings)
    registry.put_candidate("net@2", share=1.0, by="ann")
    output = tmp_path / "out.mp4"
    spec = JobSpec(source=str(source), output=str(output), model="net", preset="ultrafast")
    job_id = job_id_of(spec)
    assert validate.run(spec, job_id, settings)["model"] == "net@2"
    plan.run(job_id, settings)
    registry.rollback("net@2", by="ann")
    registry.promote("net@3", by="ann")
    assert validate.run(spec, job_id, settings)["model"] == "net@2", "a retry of the first step keeps it too"
    for index in plan.run(job_id, settings)["chunks"]:
        prepare_model.run(job_id, settings)
        upscale.run(job_id, index, settings)
    for step in (assemble, assess, gate, deliver, report):
        step.run(job_id, settings)
    told = json.loads(Path(f"{output}.manifest.json").read_text())
    assert (told["model"]["name"], told["model"]["version"]) == ("net", "2")
    clean.run(job_id, settings, failed=False)
    assert [one.job_id for one in seen(settings, "2")] == [job_id]


def test_a_shadow_does_frames_beside_production_and_delivers_nothing(
    source: Path, tmp_path: Path, settings: Settings
) -> None:
    job(source, tmp_path / "alone.mp4", settings, "alone")
    Registry.of(settings).put_candidate("net@3", share=0.0, shadow=1.0, by="ann")
    assert job(source, tmp_path / "out.mp4", settings, "shadowed")["model"] == "net@1"
    shadow = next(one for one in seen(settings, "1") if one.kind == "shadow")
    assert (shadow.job_id, shadow.other, shadow.chunk) == ("shadowed", "3", 0)
    assert shadow.pairs[0].own_psnr > shadow.pairs[0].other_psnr + 0.4
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


def test_a_candidate_that_cannot_run_hurts_no_job_and_is_told_of(
    source: Path, tmp_path: Path, settings: Settings
) -> None:
    Registry.of(settings).put_candidate("net@2", share=0.0, shadow=1.0, by="ann")
    weights = settings.models_dir / "net" / "2" / "weights.onnx"
    weights.write_bytes(weights.read_bytes()[:-40])
    assert job(source, tmp_path / "out.mp4", settings, "job-1")["status"] == "COMPLETED"
    told = seen(settings, "1")
    assert {one.kind for one in told} == {"job", "shadow"}
    assert {one.broke_off for one in told} == {"other"}
    assert all("MODEL_REJECTED" in one.broke_off_why for one in told)


def test_a_job_that_fails_is_observed_with_its_code(source: Path, tmp_path: Path, settings: Settings) -> None:
    card = settings.models_dir / "net" / "1" / "card.yaml"
    card.write_text(card.read_text().replace("global_psnr_min: 20", "global_psnr_min: 99"))
    with pytest.raises(SrError):
        job(source, tmp_path / "out.mp4", settings, "job-1")
    (told,) = seen(settings, "1")
    assert (told.error_code, told.is_failed, told.pairs) == ("QUALITY_REFUSED", True, ())


def test_observing_never_breaks_a_job(source: Path, tmp_path: Path, settings: Settings) -> None:
    settings.state_dir.mkdir(parents=True)
    (settings.state_dir / "observations").write_text("a file where a folder should be")
    assert job(source, tmp_path / "out.mp4", settings, "job-1")["status"] == "COMPLETED"
