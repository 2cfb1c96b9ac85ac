"""What a stylisation learns from: coloured pictures from a seed alone, and the very same ones painted."""

from pathlib import Path

import numpy as np

from sr_tasks.training.style.images import draw_batch, draw_picture, load_or_draw_pairs
from sr_tasks.training.style.wash import ink_wash
from tests.training.style.style_recipes import tiny_recipe


def test_pictures_come_from_the_seed_alone(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    np.testing.assert_array_equal(draw_picture(recipe, 3), draw_picture(recipe, 3))
    assert not np.array_equal(draw_picture(recipe, 3), draw_picture(recipe, 4))


def test_pictures_have_colour(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    pictures = [draw_picture(recipe, index).astype(float) for index in range(12)]
    assert np.mean([np.ptp(picture, axis=-1).mean() for picture in pictures]) > 20


def test_cartoons_are_a_few_flat_colours(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, cartoon_probability=1.0)
    for index in range(3):
        assert len(np.unique(draw_picture(recipe, index).reshape(-1, 3), axis=0)) <= 12


def test_a_batch_asks_for_the_wash_of_what_is_seen(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path)
    pairs = load_or_draw_pairs(recipe, tmp_path)
    margin = recipe.network.margin
    for step in range(4):
        batch = draw_batch(pairs, recipe, step)
        for source, painted in zip(batch.source, batch.painted, strict=True):
            seen = ink_wash(np.ascontiguousarray(np.moveaxis(source, 0, -1)), recipe.filter)
            wanted = np.moveaxis(seen[margin:-margin, margin:-margin], -1, 0)
            np.testing.assert_allclose(painted, wanted, atol=0.02)


def test_noise_is_seen_but_not_to_be_painted(tmp_path: Path) -> None:
    clean, noisy = tiny_recipe(tmp_path), tiny_recipe(tmp_path, noise_sigma_max=20.0)
    pairs = load_or_draw_pairs(clean, tmp_path)
    first, second = draw_batch(pairs, clean, 0), draw_batch(pairs, noisy, 0)
    np.testing.assert_array_equal(first.painted, second.painted)
    assert np.abs(first.source - second.source).mean() > 0.005
