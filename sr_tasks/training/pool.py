"""The pool a run trains on: synthetic images and their down-scaled versions, kept on disk; draws batches from it."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.training.downscale import Codes, downscale, to_codes
from sr_tasks.training.recipe import DownScaling, Recipe
from sr_tasks.training.synthesis import draw_image

SCALE: Final = 2
KINDS: Final[tuple[DownScaling, ...]] = ("bicubic", "area", "aliased", "blurred")
BLUR_SIGMA_RANGE: Final = (0.4, 1.2)
LOG_EVERY_IMAGES: Final = 100


@dataclass(frozen=True, kw_only=True)
class Pool:
    """`large` uint8 [n, side, side]; `small` uint8 [n, kinds, side/2, side/2] in the order of KINDS."""

    large: Codes
    small: Codes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`luma` float32 [b, 1, patch + 2 margin, ...] and `target` float32 [b, 1, 2 patch, ...], both in 0..1."""

    luma: NDArray[np.float32]
    target: NDArray[np.float32]


def load_or_draw_pool(recipe: Recipe, folder: Path) -> Pool:
    """The pool of `recipe`, training images first, then those held out; drawn once, then mapped from `folder`."""
    stored = folder / f"pool-{recipe.pool_fingerprint()}"
    if not stored.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="pool-draft-", dir=folder))
        try:
            _draw_pool(recipe, draft)
            os.replace(draft, stored)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Pool(
        large=np.load(stored / "large.npy", mmap_mode="r"),
        small=np.load(stored / "small.npy", mmap_mode="r"),
    )


def _draw_pool(recipe: Recipe, folder: Path) -> None:
    side, count = recipe.pool.side, recipe.pool.images + recipe.pool.held_out
    large = np.lib.format.open_memmap(folder / "large.npy", mode="w+", dtype=np.uint8, shape=(count, side, side))
    small_shape = (count, len(KINDS), side // SCALE, side // SCALE)
    small = np.lib.format.open_memmap(folder / "small.npy", mode="w+", dtype=np.uint8, shape=small_shape)
    for index in range(count):
        large[index] = draw_image(recipe.pool, recipe.seed, index)
        sigma = float(np.random.default_rng([recipe.seed, index, 2]).uniform(*BLUR_SIGMA_RANGE))
        plane = large[index].astype(np.float64)
        for position, kind in enumerate(KINDS):
            small[index, position] = to_codes(downscale(plane, kind, SCALE, sigma=sigma))
        if (index + 1) % LOG_EVERY_IMAGES == 0:
            logger.info("Drew {} of {} synthetic images", index + 1, count)
    large.flush()
    small.flush()


def draw_batch(pool: Pool, recipe: Recipe, step: int, margin: int) -> Batch:
    """The batch of `step`: it depends on the recipe and the step alone, so that a resumed run sees the same ones."""
    rng = np.random.default_rng([recipe.seed, step, 3])
    size, patch = recipe.optimisation.batch, recipe.optimisation.patch
    shares = np.array([recipe.down_scaling.get(kind, 0.0) for kind in KINDS])
    kinds = rng.choice(len(KINDS), size, p=shares / shares.sum())
    images = rng.integers(recipe.pool.images, size=size)
    window = patch + 2 * margin
    corners = rng.integers(pool.small.shape[-1] - window + 1, size=(size, 2))
    turns = rng.integers(8, size=size)
    luma = np.empty((size, 1, window, window), dtype=np.float32)
    target = np.empty((size, 1, SCALE * patch, SCALE * patch), dtype=np.float32)
    for i, (image, kind, (top, left), turn) in enumerate(zip(images, kinds, corners, turns, strict=True)):
        small = pool.small[image, kind, top : top + window, left : left + window]
        y, x = SCALE * (top + margin), SCALE * (left + margin)
        large = pool.large[image, y : y + SCALE * patch, x : x + SCALE * patch]
        luma[i, 0], target[i, 0] = _turned(small, int(turn)), _turned(large, int(turn))
    return Batch(luma=luma / np.float32(255), target=target / np.float32(255))


def _turned(plane: Codes, turn: int) -> Codes:
    """One of the eight ways to lay a square: quarter turns, mirrored from 4 on."""
    turned = np.rot90(plane, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned
