"""The measures against scikit-image, and what the shipped model measures on photographs."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from sr_tasks.config import REPOSITORY
from sr_tasks.planes.metrics import PSNR_CAP
from sr_tasks.records.cards import ModelCard, load_card
from sr_tasks.training.degrade import level_of
from sr_tasks.training.evaluate import (
    TEST_SET,
    Summary,
    evaluate,
    luma_601,
    luma_psnr,
    onnx_upscaler,
    photographs,
    summarise,
)
from sr_tasks.training.evaluate_degraded import degradations_to_test, evaluate_degraded, mean_gains
from sr_tasks.training.recipe import load_recipe

MODELS = REPOSITORY / "include" / "models"
TRAINED = (
    "compact-x2", "balanced-x2", "quality-x2", "restore-x2", "compact-x4", "balanced-x4", "quality-x4", "restore-x4"
)  # fmt: skip
LEAST_GAIN_DB = {
    "compact-x2": (1.4, 1.05, 0.4),
    "balanced-x2": (2.1, 1.5, 0.6),
    "quality-x2": (2.2, 1.6, 0.85),
    "restore-x2": (1.75, 1.3, 0.3),
    "compact-x4": (0.95, 0.7, -0.1),
    "balanced-x4": (1.3, 0.95, 0.15),
    "quality-x4": (1.4, 0.98, 0.28),
    "restore-x4": (0.95, 0.75, -0.1),
}
"""Over bicubic, for antialiased bicubic, area and aliased cubic: what the shipped weights must not fall below."""

LEAST_RESTORED_DB = {"crf 26": 0.6, "crf 32": 0.32, "jpeg 50": 0.62, "noise 6": 1.4}


def folder_of(name: str) -> Path:
    """The newest version."""
    return max((MODELS / name).glob("[0-9]*"), key=lambda folder: int(folder.name))


def weights_of(name: str) -> Path:
    return folder_of(name) / f"{name}.onnx"


def test_psnr_rounds_and_clips_before_it_compares() -> None:
    truth = np.array([[255, 10]], dtype=np.uint8)
    assert luma_psnr(np.array([[300.0, 10.4]]), truth, crop=0) == PSNR_CAP


def test_luma_equals_scikit_image() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.abs(luma_601(rgb) - rgb2ycbcr(rgb)[..., 0]).max() <= 0.5 + 1e-6
    assert luma_601(np.array([[0, 255]], dtype=np.uint8)).tolist() == [[16, 235]]


@pytest.fixture(scope="module", params=TRAINED)
def measured(request: pytest.FixtureRequest) -> tuple[ModelCard, list[Summary]]:
    card = load_card(folder_of(request.param) / "card.yaml")
    rows = evaluate(onnx_upscaler(weights_of(request.param)), photographs(), scale=card.scale)
    return card, summarise(rows)


def test_the_shipped_models_beat_bicubic_on_photographs(measured: tuple[ModelCard, list[Summary]]) -> None:
    card, summaries = measured
    for summary, least_db in zip(summaries, LEAST_GAIN_DB[card.name], strict=True):
        assert summary.gain_db >= least_db
        if summary.down_scaling != "aliased":
            assert summary.worst_gain_db > 0


def test_the_cards_state_the_measured_quality(measured: tuple[ModelCard, list[Summary]]) -> None:
    card, summaries = measured
    stated = [quality for quality in card.quality if quality.test_set == TEST_SET and not quality.degradation]
    assert [quality.down_scaling for quality in stated] == [summary.down_scaling for summary in summaries]
    for quality, summary in zip(stated, summaries, strict=True):
        assert quality.psnr_db == pytest.approx(summary.psnr_db, abs=0.02)
        assert quality.ssim == pytest.approx(summary.ssim, abs=0.0005)
        assert quality.gain_over_bicubic_db == pytest.approx(summary.gain_db, abs=0.02)


def test_restoration_beats_bicubic_on_noisy_and_compressed_photographs_as_its_card_says() -> None:
    degradations = [one for one in degradations_to_test() if one.label in LEAST_RESTORED_DB]
    path = weights_of("restore-x2")
    rows = evaluate_degraded(lambda level: onnx_upscaler(path, level=level), photographs(), degradations)
    stated = {one.degradation: one for one in load_card(folder_of("restore-x2") / "card.yaml").quality}
    for label, gain_db in mean_gains(rows).items():
        assert gain_db >= LEAST_RESTORED_DB[label]
        # Encoders differ a little from one processor to the next.
        assert stated[label].gain_over_bicubic_db == pytest.approx(gain_db, abs=0.05)


def test_a_network_told_the_level_beats_the_same_one_told_that_all_is_clean() -> None:
    degradation = next(one for one in degradations_to_test() if one.label == "noise 6")
    path = weights_of("restore-x2")
    told, silent = (
        evaluate_degraded(lambda level: onnx_upscaler(path, level=level), photographs(), [degradation], level=given)
        for given in (level_of, lambda small, clean: 0.0)
    )
    for one, other in zip(told, silent, strict=True):
        assert one.psnr_db > other.psnr_db


@pytest.mark.parametrize("name", TRAINED)
def test_the_shipped_weights_are_those_of_the_card(name: str) -> None:
    card = load_card(folder_of(name) / "card.yaml")
    assert card.weights is not None
    assert hashlib.sha256(weights_of(name).read_bytes()).hexdigest() == card.weights.sha256


@pytest.mark.parametrize("name", TRAINED)
def test_the_recipe_names_the_shipped_start(name: str) -> None:
    recipe_path = MODELS / "recipes" / f"{name}.yaml"
    recipe = load_recipe(recipe_path)
    assert recipe.name == name
    if recipe.start is not None:
        data = (recipe_path.parent / recipe.start.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == recipe.start.sha256


@pytest.mark.parametrize("name", TRAINED)
def test_the_receptive_field_of_the_card_is_the_one_of_the_weights(name: str) -> None:
    """A px that is changed shows in exactly the answers whose field it lies in."""
    card = load_card(folder_of(name) / "card.yaml")
    upscale = onnx_upscaler(weights_of(name), level=3.0)
    luma = np.random.default_rng(3).random((61, 61), dtype=np.float32)
    reached = np.zeros((61, 61), dtype=bool)
    for strength in (0.9, -0.9):
        changed = luma.copy()
        changed[30, 30] += np.float32(strength)
        scale = card.scale
        blocks = np.abs(upscale(changed) - upscale(luma)).reshape(61, scale, 61, scale).max(axis=(1, 3))
        reached |= blocks > 0
    rows, columns = np.nonzero(reached)
    side = card.receptive_field
    assert rows.min() == columns.min() == 30 - side // 2
    assert rows.max() == columns.max() == 30 + side // 2


def test_the_bicubic_card_is_valid_and_has_no_weights() -> None:
    card = load_card(Path(REPOSITORY / "include" / "models" / "bicubic" / "1" / "card.yaml"))
    assert card.weights is None
    assert card.kind == "resampler"
    assert card.scales == (2, 4)


@pytest.mark.parametrize("recipe_path", sorted((MODELS / "recipes").glob("*-v2*.yaml")), ids=lambda path: path.stem)
def test_the_recipe_of_a_later_version_has_weights_released_or_beside_it_and_names_its_start(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    assert recipe.name == recipe_path.stem
    name, _, version = recipe.name.partition("-v")
    card = MODELS / name / version / "card.yaml"
    if card.is_file():
        assert f"recipes/{recipe_path.name}" in load_card(card).training_data
    else:
        assert recipe_path.with_suffix(".onnx").is_file()
    if recipe.start is not None:
        data = (recipe_path.parent / recipe.start.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == recipe.start.sha256
