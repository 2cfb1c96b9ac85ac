"""Pairs to learn from: coloured synthetic pictures and the same painted, kept on disk; draws batches from them."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.training.style.recipe import StyleRecipe
from sr_tasks.training.style.wash import Picture, ink_wash
from sr_tasks.training.synthesis import draw_image

Codes = NDArray[np.uint8]

PALETTE_KNOTS: Final = 5
FLAT_COLOURS: Final = (3, 12)
LOG_EVERY_IMAGES: Final = 100


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """`source` and `painted` uint8 [n, side, side, 3] in R, G, B."""

    source: Codes
    painted: Codes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`source` float32 [b, 3, patch + 2 margin, ...] and `painted` float32 [b, 3, patch, ...], both in 0..1."""

    source: NDArray[np.float32]
    painted: NDArray[np.float32]


def draw_picture(recipe: StyleRecipe, index: int) -> Codes:
    """Picture `index` of a recipe: uint8 [side, side, 3].

    Three luma images give it its form: one runs through a palette, the others tint it, so that colours go with things
    as they do in photographs. Some pictures are a few flat colours instead, as in a cartoon.
    """
    rng = np.random.default_rng([recipe.seed, index, 5])
    drawn = [draw_image(recipe.pool, recipe.seed, 3 * index + part) for part in range(3)]
    form, first, second = (np.asarray(plane / np.float32(255), np.float32) for plane in drawn)
    if rng.random() < recipe.cartoon_probability:
        count = int(rng.integers(*FLAT_COLOURS))
        colours = rng.random((count, 3), dtype=np.float32)
        flat: Codes = _codes(colours[np.minimum((form * count).astype(int), count - 1)])
        return flat
    tint = np.stack([first, second, 1 - first], axis=-1) - np.float32(0.5)
    picture = _in_palette(rng, form) + tint * np.float32(rng.uniform(0, 0.5))
    grey = picture.mean(axis=-1, keepdims=True)
    return _codes(grey + (picture - grey) * np.float32(rng.uniform(0.1, 1.2)))


def _in_palette(rng: np.random.Generator, form: NDArray[np.float32]) -> Picture:
    """Dark stays darker than light in every channel, but the hue turns on the way."""
    knots = np.linspace(0, 1, PALETTE_KNOTS)
    channels = []
    for _ in range(3):
        steps = rng.dirichlet(np.full(PALETTE_KNOTS - 1, 1.5))
        levels = np.concatenate([[0], np.cumsum(steps)]) * rng.uniform(0.5, 1.1) + rng.uniform(-0.1, 0.3)
        channels.append(np.interp(form, knots, levels))
    picture: Picture = np.stack(channels, axis=-1).astype(np.float32)
    return picture


def _codes(picture: Picture) -> Codes:
    codes: Codes = np.clip(np.floor(picture * 255 + 0.5), 0, 255).astype(np.uint8)
    return codes


def load_or_draw_pairs(recipe: StyleRecipe, folder: Path) -> Pairs:
    """The pairs of `recipe`, those trained on first, then those held out; drawn once, then mapped from `folder`."""
    stored = folder / f"pairs-{recipe.pairs_fingerprint()}"
    if not stored.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="pairs-draft-", dir=folder))
        try:
            _draw_pairs(recipe, draft)
            os.replace(draft, stored)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Pairs(
        source=np.load(stored / "source.npy", mmap_mode="r"), painted=np.load(stored / "painted.npy", mmap_mode="r")
    )


def _draw_pairs(recipe: StyleRecipe, folder: Path) -> None:
    count, side = recipe.pool.images + recipe.pool.held_out, recipe.pool.side
    shape = (count, side, side, 3)
    source = np.lib.format.open_memmap(folder / "source.npy", mode="w+", dtype=np.uint8, shape=shape)
    painted = np.lib.format.open_memmap(folder / "painted.npy", mode="w+", dtype=np.uint8, shape=shape)
    for index in range(count):
        source[index] = draw_picture(recipe, index)
        painted[index] = _codes(ink_wash(source[index].astype(np.float32) / 255, recipe.filter))
        if (index + 1) % LOG_EVERY_IMAGES == 0:
            logger.info("Painted {} of {} synthetic pictures", index + 1, count)
    source.flush()
    painted.flush()


def draw_batch(pairs: Pairs, recipe: StyleRecipe, step: int) -> Batch:
    """The batch of `step`: it depends on the recipe and the step alone, so that a resumed run sees the same ones.

    Only the source gets noise: what is to be painted is the picture behind it.
    """
    rng = np.random.default_rng([recipe.seed, step, 6])
    size, patch, margin = recipe.optimisation.batch, recipe.optimisation.patch, recipe.network.margin
    window = patch + 2 * margin
    source = np.empty((size, window, window, 3), dtype=np.float32)
    painted = np.empty((size, patch, patch, 3), dtype=np.float32)
    for row in range(size):
        image = int(rng.integers(recipe.pool.images))
        top, left = rng.integers(recipe.pool.side - window + 1, size=2)
        turn, inner = int(rng.integers(8)), slice(margin, margin + patch)
        for kept, pictures in ((source, pairs.source), (painted, pairs.painted)):
            whole = pictures[image, top : top + window, left : left + window]
            part = whole if kept is source else whole[inner, inner]
            kept[row] = _turned(part, turn)
        sigma = rng.uniform(0, recipe.noise_sigma_max)
        source[row] += rng.standard_normal(source[row].shape, dtype=np.float32) * np.float32(sigma)
    return Batch(source=_planes(source), painted=_planes(painted))


def _turned(picture: Codes, turn: int) -> Codes:
    """One of the eight ways to lay a square: quarter turns, mirrored from 4 on."""
    turned = np.rot90(picture, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned


def _planes(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, rows, columns, 3] in codes to [n, 3, rows, columns] in 0..1."""
    return np.ascontiguousarray(np.moveaxis(pictures, -1, 1)) / np.float32(255)
