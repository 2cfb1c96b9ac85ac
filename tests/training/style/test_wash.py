"""The ink wash: flat paint, edges where they were, ink on the dark side of them, tones that do not jump."""

import numpy as np

from sr_tasks.training.style.recipe import FilterRecipe
from sr_tasks.training.style.wash import ink_wash, lines, patches, soft_steps

PLAIN = FilterRecipe(tone_strength=0, line_strength=0)


def edge(dark: float = 0.3, light: float = 0.7) -> np.ndarray:
    picture = np.full((40, 40, 3), dark, np.float32)
    picture[:, 20:] = light
    return picture


def test_a_flat_picture_stays_as_it_is() -> None:
    flat = np.full((30, 30, 3), (0.2, 0.5, 0.9), np.float32)
    np.testing.assert_allclose(ink_wash(flat, FilterRecipe(tone_strength=0)), flat, atol=1e-5)


def test_an_edge_stays_sharp_and_in_its_place() -> None:
    painted = ink_wash(edge(), PLAIN)
    np.testing.assert_allclose(painted[:, :19], 0.3, atol=0.01)
    np.testing.assert_allclose(painted[:, 21:], 0.7, atol=0.01)


def test_texture_becomes_paint() -> None:
    rng = np.random.default_rng(1)
    noisy = np.clip(0.5 + rng.normal(0, 0.05, (60, 60, 3)), 0, 1).astype(np.float32)
    assert patches(noisy, 4, 8.0).std() < noisy.std() / 3


def test_the_paint_does_not_depend_on_how_the_picture_lies() -> None:
    rng = np.random.default_rng(2)
    picture = rng.random((32, 24, 3), dtype=np.float32)
    turned = ink_wash(np.ascontiguousarray(np.rot90(picture)), FilterRecipe())
    np.testing.assert_allclose(turned, np.rot90(ink_wash(picture, FilterRecipe())), atol=2e-3)


def test_ink_lies_on_the_dark_side_of_edges_alone() -> None:
    ink = lines(edge()[..., 0], FilterRecipe())
    assert ink[20, 18:20].min() > 0.2
    assert ink[:, 21:].max() == 0
    assert ink[:, :12].max() == 0


def test_tones_rise_in_steps_without_a_jump() -> None:
    tone = np.linspace(0, 1, 4001, dtype=np.float32)
    stepped = soft_steps(tone, 5, 6.0)
    rises = np.diff(stepped)
    assert rises.min() >= 0
    assert rises.max() < 0.02
    assert np.unique(np.round(stepped[:-1][rises < np.median(rises) / 2], 1)).size == 6
    np.testing.assert_allclose(stepped[[0, -1]], [0, 1], atol=1e-6)
