"""The measures against scikit-image, and what the shipped model measures on photographs."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sr_tasks.config import REPOSITORY
from sr_tasks.models.cards import load_card
from sr_tasks.training.evaluate import (
    TEST_SET,
    Summary,
    evaluate,
    luma_601,
    luma_psnr,
    luma_ssim,
    onnx_upscaler,
    photographs,
    summarise,
)

FOLDER = REPOSITORY / "include" / "models" / "compact-x2" / "1"


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    ramp = np.add.outer(np.arange(50), np.arange(70)) * 1.5 + rng.normal(0, 20, (50, 70))
    truth = np.clip(ramp + 30, 0, 255).astype(np.uint8)
    noisy = np.clip(truth + rng.normal(0, 9, truth.shape).round(), 0, 255).astype(np.uint8)
    return noisy, truth


def test_psnr_equals_scikit_image(pair: tuple[np.ndarray, np.ndarray]) -> None:
    noisy, truth = pair
    oracle = peak_signal_noise_ratio(truth[2:-2, 2:-2], noisy[2:-2, 2:-2], data_range=255)
    assert luma_psnr(noisy, truth, crop=2) == pytest.approx(oracle, abs=1e-9)
    assert luma_psnr(truth, truth, crop=0) == float("inf")


def test_psnr_rounds_and_clips_before_it_compares() -> None:
    truth = np.array([[255, 10]], dtype=np.uint8)
    assert luma_psnr(np.array([[300.0, 10.4]]), truth, crop=0) == float("inf")


def test_ssim_equals_scikit_image(pair: tuple[np.ndarray, np.ndarray]) -> None:
    noisy, truth = pair
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, likeness = structural_similarity(truth[2:-2, 2:-2], noisy[2:-2, 2:-2], full=True, **settings)
    assert luma_ssim(noisy, truth, crop=2) == pytest.approx(likeness[5:-5, 5:-5].mean(), abs=1e-9)


def test_luma_equals_scikit_image() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert np.abs(luma_601(rgb) - rgb2ycbcr(rgb)[..., 0]).max() <= 0.5 + 1e-6
    assert luma_601(np.array([[0, 255]], dtype=np.uint8)).tolist() == [[16, 235]]


@pytest.fixture(scope="module")
def measured() -> list[Summary]:
    rows = evaluate(onnx_upscaler(FOLDER / "compact-x2.onnx"), photographs())
    return summarise(rows)


@pytest.mark.parametrize(("kind", "least_db"), [("bicubic", 1.4), ("area", 1.05), ("aliased", 0.4)])
def test_the_shipped_model_beats_bicubic_on_photographs(measured: list[Summary], kind: str, least_db: float) -> None:
    summary = next(summary for summary in measured if summary.down_scaling == kind)
    assert summary.gain_db >= least_db
    if kind != "aliased":
        assert summary.worst_gain_db > 0


def test_the_card_states_the_measured_quality(measured: list[Summary]) -> None:
    stated = load_card(FOLDER / "card.yaml").quality
    assert [quality.down_scaling for quality in stated] == [summary.down_scaling for summary in measured]
    for quality, summary in zip(stated, measured, strict=True):
        assert quality.test_set == TEST_SET
        assert quality.psnr_db == pytest.approx(summary.psnr_db, abs=0.02)
        assert quality.ssim == pytest.approx(summary.ssim, abs=0.0005)
        assert quality.gain_over_bicubic_db == pytest.approx(summary.gain_db, abs=0.02)


def test_the_shipped_weights_are_those_of_the_card() -> None:
    card = load_card(FOLDER / "card.yaml")
    assert card.weights is not None
    assert hashlib.sha256((FOLDER / card.weights.file).read_bytes()).hexdigest() == card.weights.sha256


def test_the_receptive_field_of_the_card_is_the_one_of_the_weights() -> None:
    """A px that is changed shows in exactly the answers whose field it lies in."""
    upscale = onnx_upscaler(FOLDER / "compact-x2.onnx")
    luma = np.random.default_rng(3).random((61, 61), dtype=np.float32)
    reached = np.zeros((61, 61), dtype=bool)
    for strength in (0.9, -0.9):
        changed = luma.copy()
        changed[30, 30] += np.float32(strength)
        blocks = np.abs(upscale(changed) - upscale(luma)).reshape(61, 2, 61, 2).max(axis=(1, 3))
        reached |= blocks > 0
    rows, columns = np.nonzero(reached)
    side = load_card(FOLDER / "card.yaml").receptive_field
    assert rows.min() == columns.min() == 30 - side // 2
    assert rows.max() == columns.max() == 30 + side // 2


def test_the_bicubic_card_is_valid_and_has_no_weights() -> None:
    card = load_card(Path(REPOSITORY / "include" / "models" / "bicubic" / "1" / "card.yaml"))
    assert card.weights is None
    assert card.kind == "resampler"
    assert card.scales == (2, 4)
