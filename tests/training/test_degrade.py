"""Degradations against their definitions: noise of the stated strength, codecs that other decoders agree with."""

import io

import numpy as np
import pytest
from PIL import Image

from sr_tasks.planes.scaling import Codes
from sr_tasks.training.degrade import degrade, h264, jpeg, level_of, noisy
from sr_tasks.training.recipe import DegradationRecipe

RECIPE = DegradationRecipe(kinds={"noise": 1, "jpeg": 1, "video": 1, "noisy_video": 1})


@pytest.fixture(scope="module")
def clean() -> Codes:
    y, x = np.mgrid[0:96, 0:128]
    return (128 + 50 * np.sin(x / 5) * np.cos(y / 7) + 30 * ((x // 16 + y // 16) % 2)).astype(np.uint8)


def test_noise_of_sigma_five_is_a_level_of_five(clean: Codes) -> None:
    levels = [level_of(noisy(clean, 5.0, np.random.default_rng(seed)), clean) for seed in range(8)]
    assert np.mean(levels) == pytest.approx(5.0, rel=0.03)


def test_jpeg_decodes_as_pillow_decodes_it(clean: Codes) -> None:
    file = io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=40)
    oracle = np.asarray(Image.open(file))
    # Two encoders may differ in rounding, never in what is lost.
    assert level_of(jpeg(clean, 40), clean) == pytest.approx(level_of(oracle, clean), rel=0.05)


def test_a_higher_crf_loses_more(clean: Codes) -> None:
    levels = [level_of(h264([clean], crf)[0], clean) for crf in (10, 20, 30, 40)]
    assert levels == sorted(levels)
    assert levels[0] < 2 < levels[-1]


def test_every_frame_comes_back_in_its_place(clean: Codes) -> None:
    frames = [np.roll(clean, shift, axis=1) for shift in (0, 3, 6, 9)]
    decoded = h264(frames, 20)
    assert len(decoded) == len(frames)
    for number, frame in enumerate(decoded):
        nearest = min(range(len(frames)), key=lambda index: level_of(frame, frames[index]))
        assert nearest == number


def test_the_same_seed_degrades_in_the_same_way(clean: Codes) -> None:
    for seed in range(6):
        first = degrade(RECIPE, np.random.default_rng(seed), clean)
        second = degrade(RECIPE, np.random.default_rng(seed), clean)
        assert first.tobytes() == second.tobytes()
        assert first.shape == clean.shape
        assert level_of(first, clean) > 0
