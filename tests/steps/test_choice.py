"""Which model a job gets, what it says of it, and that a job under way keeps it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from sr_tasks.errors import (
    LicenceNotAllowed,
    ModelRejected,
    QualityRefused,
    RoutesInvalid,
    ScaleUnsupported,
    SrError,
    UsageError,
)
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps import plan, validate
from tests.clips import make
from tests.graphs.sample_models import write_model
from tests.steps.conftest import Enhance

Validated = Callable[..., SourceRecord]
ROUTES = [{"name": "compressed or noisy", "when": {"scale": 2, "level": {"min": 4.5}}, "model": "mend"}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A registry of a clean model, one that is told the level, one of another licence, and a style."""
    models = tmp_path / "models"
    write_model(models, "clean")
    write_model(models, "mend", network=b"never opened by validate", level={"max": 16.0})
    write_model(models, "bound", licence="GPL-3.0-only")
    style = {"name": "ink", "licence": "CC0-1.0"}
    write_model(models, "ink", network=b"never opened", kind="style", scale=1, style=style)
    table = {"routes": ROUTES, "defaults": {2: "clean", 4: "clean"}}
    (models / "routing.yaml").write_text(yaml.safe_dump(table))
    allowed = ("Apache-2.0", "CC0-1.0")
    return dataclasses.replace(Settings(), workdir=tmp_path / "work", models_dir=models, allowed_licences=allowed)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    common: dict[str, Any] = {"frames": 10, "width": 320, "height": 192, "options": {"crf": "10"}}
    return {"clean": make(folder / "clean.mp4", **common), "noisy": make(folder / "noisy.mp4", **common, noise=12.0)}


@pytest.fixture
def validated(settings: Settings, clips: dict[str, Path], tmp_path: Path) -> Validated:
    """`validated("noisy", job="a", **spec)` runs the step alone and gives what it left."""

    def run(clip: str, job: str = "job", *, under: Settings = settings, **spec: Any) -> SourceRecord:
        request = JobSpec(source=str(clips[clip]), output=str(tmp_path / "out.mp4"), **spec)
        validate.run(request, job, under)
        return JobFolder(under.workdir, job).load("source", SourceRecord)

    return run


def test_auto_tells_a_noisy_source_from_a_clean_one_and_says_so(validated: Validated) -> None:
    noisy, clean = validated("noisy"), validated("clean")
    assert (noisy.model, clean.model) == ("mend@1", "clean@1")
    assert noisy.degradation is not None
    level = f"{noisy.degradation.level:.1f}"
    assert noisy.model_reason == (
        f"auto: level {level} (noise), scale 2 -> mend, route 'compressed or noisy', production"
    )
    assert "-> clean, the default of scale 2" in clean.model_reason


def test_a_model_with_a_level_is_told_what_was_measured_and_others_nothing(validated: Validated) -> None:
    noisy = validated("noisy")
    assert noisy.degradation is not None
    assert 2 < noisy.level < noisy.degradation.level
    asked = validated("noisy", "other", model="mend")
    assert (asked.level, asked.model_reason) == (noisy.level, "asked for, production")
    plain = validated("noisy", "plain", model="clean")
    assert (plain.level, plain.degradation) == (0.0, None)


def test_an_asked_restoration_stands_for_the_measured_level(validated: Validated) -> None:
    asked = validated("clean", restore=5.0)
    assert (asked.model, asked.level) == ("mend@1", 5.0)
    assert "level 5.0" in asked.model_reason
    assert "as asked for" in asked.model_reason
    spared = validated("noisy", "spared", restore=0.0)
    assert (spared.model, spared.level) == ("clean@1", 0.0)
    assert validated("noisy", "named", model="mend", restore=0.0).level == 0.0


def test_restoration_is_refused_of_a_model_that_has_none(validated: Validated) -> None:
    with pytest.raises(UsageError, match=r"restore=3 .* clean@1"):
        validated("clean", model="clean", restore=3.0)
    assert validated("clean", model="clean", restore=0.0).model == "clean@1"


def test_a_scale_without_a_route_is_refused(validated: Validated) -> None:
    with pytest.raises(ScaleUnsupported, match="scale 1"):
        validated("clean", scale=1)


def test_licences_that_are_not_allowed_are_refused(validated: Validated, settings: Settings) -> None:
    with pytest.raises(LicenceNotAllowed, match=r"bound@1 is under GPL-3\.0-only"):
        validated("clean", model="bound")
    with pytest.raises(RoutesInvalid, match="Apache-2.0"):
        validated("clean", under=dataclasses.replace(settings, allowed_licences=("MIT",)))


def test_a_style_needs_a_place_in_the_catalogue(validated: Validated, settings: Settings) -> None:
    with pytest.raises(LicenceNotAllowed, match="ink@1"):
        validated("clean", model="ink", scale=1)
    path = settings.models_dir / "routing.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"styles_allowed": ["ink"]}))
    assert validated("clean", model="ink", scale=1).model == "ink@1"


def promote_new_clean(settings: Settings) -> None:
    write_model(settings.models_dir, "clean", "2")
    Registry.of(settings).promote("clean@2", by="test")


def test_a_retry_keeps_the_version_the_job_began_with(validated: Validated, settings: Settings) -> None:
    first = validated("clean")
    promote_new_clean(settings)
    assert validated("clean") == first
    assert validated("clean", "another job").model == "clean@2"
    assert validated("clean", scale=4).model == "clean@2", "another request is no retry"


def test_a_retry_of_a_changed_source_chooses_anew(validated: Validated, settings: Settings, tmp_path: Path) -> None:
    common: dict[str, Any] = {"width": 320, "height": 192, "options": {"crf": "10"}}
    source = make(tmp_path / "own.mp4", frames=4, **common)
    spec = JobSpec(source=str(source), output=str(tmp_path / "own_x2.mp4"))
    assert validate.run(spec, "job", settings)["model"] == "clean@1"
    promote_new_clean(settings)
    make(source, frames=5, **common)
    assert validate.run(spec, "job", settings)["model"] == "clean@2"


def test_a_job_whose_quality_was_refused_may_get_another_version(validated: Validated, settings: Settings) -> None:
    validated("clean")
    promote_new_clean(settings)
    JobFolder(settings.workdir, "job").store_error(QualityRefused("Refused."))
    assert validated("clean").model == "clean@2"


@pytest.mark.parametrize("error", [QualityRefused, ModelRejected])
def test_records_stay_for_a_later_step_that_alone_is_run_again(
    validated: Validated, settings: Settings, error: type[SrError]
) -> None:
    """As when its cause was put right and somebody clears the task that failed: Airflow runs the set-up beside it."""
    validated("clean")
    plan.run("job", settings)
    folder = JobFolder(settings.workdir, "job")
    folder.store_error(error("The model is not what its card says."), step="prepare_model", chunk=None)
    validated("clean")
    assert folder.has("plan")
    assert not folder.has("error")
    folder.store_error(error("The model is not what its card says."), step="prepare_model", chunk=None)
    promote_new_clean(settings)
    validated("clean")
    assert not folder.has("plan"), "another version was chosen: nothing of the one before may be left"


def test_manifest_and_report_say_why(enhance: Enhance, clips: dict[str, Path]) -> None:
    result = enhance(clips["clean"], model="auto")
    manifest = json.loads(Path(result["manifest"]).read_text())
    assert manifest["model"]["name"] == "clean"
    assert "the default of scale 2" in manifest["model"]["reason"]
    assert manifest["source"]["degradation"]["level"] < 4.5
    assert "the default of scale 2" in Path(result["report"]).read_text()


def test_a_wish_tells_a_network_part_of_what_was_measured_and_filters_serve_a_model_that_is_told_nothing(
    validated: Validated,
) -> None:
    light, strong = validated("noisy", denoise="light"), validated("noisy", "strong", denoise="strong")
    assert light.model == strong.model == "mend@1"
    assert light.degradation is not None
    assert 1.5 <= light.level < light.degradation.noise < strong.level
    assert not light.media.picture.filters
    plain = validated("noisy", "plain", model="clean", denoise="light")
    assert plain.level == 0.0
    assert "nlmeans" in plain.media.picture.filters
    assert plain.media.picture.filters in plain.model_reason


def test_what_is_sharpened_is_denoised_before_by_a_filter(validated: Validated) -> None:
    both = validated("noisy", denoise="medium", sharpen="medium")
    assert (both.model, both.level) == ("clean@1", 0.0)
    assert both.media.picture.filters.index("nlmeans") < both.media.picture.filters.index("unsharp")


def test_a_retry_keeps_the_filters_and_another_wish_gets_others(validated: Validated) -> None:
    first = validated("noisy", sharpen="light")
    assert validated("noisy", sharpen="light") == first
    assert validated("noisy", sharpen="strong").media.picture.filters != first.media.picture.filters
