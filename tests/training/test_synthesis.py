"""Synthetic images: the same from the same seed, drawn without files, of every kind."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from sr_tasks.training.recipe import PoolRecipe, SceneKind
from sr_tasks.training.synthesis import draw_image

KINDS: tuple[SceneKind, ...] = ("leaves", "text", "lines", "gratings", "clouds")


def pool_recipe(**scenes: float) -> PoolRecipe:
    return PoolRecipe.model_validate(
        {
            "images": 4,
            "side": 96,
            "scenes": scenes,
            "lens_blur_probability": 0.5,
            "lens_blur_sigma_max": 2.0,
            "defocus_probability": 0.5,
            "faint_probability": 0.5,
            "grain_probability": 0.5,
            "grain_sigma_max": 3.0,
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_is_given_by_its_seed_and_index_alone(kind: SceneKind) -> None:
    recipe = pool_recipe(**{kind: 1.0})
    first, other, again = draw_image(recipe, 4, 7), draw_image(recipe, 4, 8), draw_image(recipe, 4, 7)
    assert first.shape == (96, 96)
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, draw_image(recipe, 5, 7))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_has_contrast(kind: SceneKind) -> None:
    recipe = pool_recipe(**{kind: 1.0})
    assert np.mean([draw_image(recipe, 4, index).std() for index in range(4)]) > 8


def test_no_file_is_opened_while_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = pool_recipe(**dict.fromkeys(KINDS, 1.0))
    draw_image(recipe, 4, 0)

    opened: list[object] = []
    monkeypatch.setattr(builtins, "open", lambda *args, **_: opened.append(args))
    monkeypatch.setattr(Path, "open", lambda *args, **_: opened.append(args))
    for index in range(8):
        draw_image(recipe, 4, index)
    assert opened == []
