"""Geometry of tiles, for thousands of sizes: what is kept covers the picture once, far enough from inner edges."""

import random
from typing import Any

import numpy as np
import pytest

from sr_tasks.errors import ModelRejected
from sr_tasks.inference.tiles import Axis, Layout, plan_grid, required_halo
from sr_tasks.records.cards import ModelCard
from tests.graphs.sample_models import variant

PARTS: dict[str, Any] = {
    "name": "n", "version": "1", "title": "n", "architecture": "a", "scale": 2, "parameters": 0, "receptive_field": 9,
    "licence": "MIT", "training_data": "none", "intended_content": "tests", "kind": "resampler",
    "gate": {"global_psnr_min": 1, "frame_psnr_min": 1, "block_psnr_min": 1, "ssim_min": 0},
}  # fmt: skip


def card(**changes: Any) -> ModelCard:
    return ModelCard.model_validate(PARTS | changes)


def layout(**changes: Any) -> Layout:
    fields: dict[str, Any] = {"margin": 6, "ramp": 0, "grid": 2, "multiple": 1, "minimum": 1, "fixed": None}
    return Layout(**(fields | changes))


def require_sound(axis: Axis, asked: Layout) -> None:
    """Everything that must hold of the windows along an axis."""
    assert axis.padded >= axis.size
    assert axis.window >= asked.minimum
    assert axis.padded - asked.multiple < max(axis.size, asked.minimum) or asked.fixed
    assert axis.window <= axis.padded
    assert axis.window % asked.multiple == 0 or asked.fixed
    assert axis.padded % asked.multiple == 0 or asked.fixed
    kept = np.zeros(axis.padded, int)
    for index, span in enumerate(axis.spans):
        assert span.start % asked.grid == span.first % asked.grid == 0
        assert 0 <= span.start <= axis.padded - axis.window
        kept[span.first + span.ramp_in : span.last - span.ramp_out] += 2
        kept[span.first : span.first + span.ramp_in] += 1
        kept[span.last - span.ramp_out : span.last] += 1
        assert span.ramp_in + span.ramp_out <= span.last - span.first, "both ramps of a window meet"
        if index:
            assert span.first - span.start >= asked.margin
            assert span.first == axis.spans[index - 1].last - span.ramp_in
            assert span.ramp_in == axis.spans[index - 1].ramp_out
        if index < len(axis.spans) - 1:
            assert span.start + axis.window - span.last >= asked.margin
    assert set(kept) == {2}, "every px is kept once, or shared by two"


def test_windows_of_any_size_and_network_cover_the_picture() -> None:
    rng = random.Random(1)
    for _ in range(4000):
        multiple = rng.choice([1, 1, 1, 2, 3, 8, 64])
        grid = int(np.lcm(multiple, rng.choice([1, 2])))
        asked = layout(
            margin=-(-rng.choice([0, 2, 6, 13, 40]) // grid) * grid,
            ramp=-(-rng.choice([0, 0, 16, 24]) // grid) * grid,
            grid=grid,
            multiple=multiple,
            minimum=rng.choice([1, 1, 50, 64]),
        )
        width, height, tile_px = rng.randint(1, 700), rng.randint(1, 700), rng.choice([0, 1, 32, 47, 64, 200, 5000])
        found = plan_grid(asked, width, height, tile_px)
        require_sound(found.columns, asked)
        require_sound(found.rows, asked)
        if tile_px == 0:
            assert found.windows == 1


def test_windows_of_a_fixed_size_have_just_that_size() -> None:
    rng = random.Random(2)
    for _ in range(2000):
        rows, columns = rng.randint(64, 260), rng.randint(64, 260)
        asked = layout(margin=rng.choice([0, 4, 12]), ramp=rng.choice([0, 8, 16]), fixed=(rows, columns))
        found = plan_grid(asked, rng.randint(1, 900), rng.randint(1, 900), rng.choice([0, 64]))
        assert (found.rows.window, found.columns.window) == (rows, columns)
        for axis in (found.rows, found.columns):
            require_sound(axis, asked)


def test_little_is_computed_twice() -> None:
    """Windows are spread evenly, so that a picture a little larger than one tile is not cut into a large and a tiny."""
    for size in range(100, 2000, 7):
        axis = plan_grid(layout(), size, size, 96).columns
        assert len(axis.spans) == 1 or len(axis.spans) * (axis.window - 12 - size % 2 - 2) < size - 12


def test_a_fixed_size_that_the_halo_fills_is_refused_with_both_numbers() -> None:
    with pytest.raises(ModelRejected, match="fixed side of 64 px cannot be tiled with 32 px"):
        plan_grid(layout(margin=32, fixed=(64, 64)), 200, 200, 0)


@pytest.mark.parametrize(
    ("changes", "chroma", "halo"),
    [
        ({}, "gray", 4), ({}, "444", 4), ({}, "420", 4),
        ({"tiling": {"halo": 3}}, "420", 4), ({"tiling": {"halo": 3}}, "444", 3), ({"tiling": {"halo": 1}}, "422", 4),
        ({"max_passes": 2}, "420", 8), ({"receptive_field": 3, "kind": "resampler"}, "gray", 2),
    ],
)  # fmt: skip
def test_the_halo_covers_the_network_and_the_resampler_of_chroma(
    changes: dict[str, Any], chroma: str, halo: int
) -> None:
    assert required_halo(card(**changes), variant(chroma=chroma)) == halo
