"""The pool: kept once drawn, and batches whose two sides belong together."""

from pathlib import Path

import numpy as np
import pytest

from sr_tasks.planes.scaling import to_codes
from sr_tasks.training import drawn
from sr_tasks.training.pool import Pool, draw_batch, load_or_draw_pool
from sr_tasks.training.recipe import Recipe

MARGIN = 3


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "name": "tiny",
            "seed": 4,
            "network": {"channels": 4, "layers": 1, "width": 4},
            "pool": {
                "images": 3,
                "held_out": 1,
                "side": 64,
                "scenes": {"leaves": 1.0},
                "lens_blur_probability": 0.0,
                "lens_blur_sigma_max": 1.0,
                "defocus_probability": 0.0,
                "faint_probability": 0.0,
                "grain_probability": 1.0,
                "grain_sigma_max": 3.0,
            },
            "down_scaling": {"area": 1.0},
            "optimisation": {"steps": 10, "batch": 32, "patch": 12, "learning_rate": 0.01},
        }
    )


@pytest.fixture(scope="module")
def pool(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return load_or_draw_pool(recipe, tmp_path_factory.mktemp("pool"))


def test_the_target_of_a_patch_is_what_its_inner_part_was_made_of(recipe: Recipe, pool: Pool) -> None:
    batch = draw_batch(pool, recipe, 0, MARGIN)
    assert batch.luma.shape == (32, 1, 18, 18)
    assert batch.target.shape == (32, 1, 24, 24)
    inner = batch.luma[:, 0, MARGIN:-MARGIN, MARGIN:-MARGIN] * 255
    means = batch.target[:, 0].reshape(32, 12, 2, 12, 2).mean(axis=(2, 4)) * 255.0
    assert np.array_equal(to_codes(means.astype(np.float64) + 1e-4), to_codes(inner.astype(np.float64)))


def test_a_batch_is_given_by_its_step_alone(recipe: Recipe, pool: Pool) -> None:
    first, again, other = (draw_batch(pool, recipe, step, MARGIN) for step in (4, 4, 5))
    assert np.array_equal(first.luma, again.luma)
    assert np.array_equal(first.target, again.target)
    assert not np.array_equal(first.luma, other.luma)


def test_held_out_images_are_never_trained_on(recipe: Recipe, pool: Pool) -> None:
    marked = Pool(large=pool.large.copy(), small=pool.small.copy(), trained=pool.trained)
    marked.large[:], marked.small[:] = 0, 0
    marked.large[recipe.pool.images :] = 255
    assert all(draw_batch(marked, recipe, step, MARGIN).target.max() == 0 for step in range(20))


def test_a_pool_is_drawn_once(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_or_draw_pool(recipe, tmp_path)
    monkeypatch.setattr(drawn, "draw_image", None)
    again = load_or_draw_pool(recipe, tmp_path)
    assert np.array_equal(first.large, again.large)
    assert np.array_equal(first.small, again.small)


def test_a_pool_whose_drawing_broke_off_is_drawn_anew(
    recipe: Recipe, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(drawn, "draw_image", fail)
        with pytest.raises(MemoryError):
            load_or_draw_pool(recipe, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert np.array_equal(load_or_draw_pool(recipe, tmp_path).large, pool.large)
