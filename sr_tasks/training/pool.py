"""The pool a run trains on: synthetic images and their small versions, kept on disk; draws batches from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.errors import UsageError
from sr_tasks.planes.scaling import Codes, to_codes
from sr_tasks.training.degrade import degrade, level_of
from sr_tasks.training.downscale import BLUR_SIGMA_RANGE, KINDS, downscale
from sr_tasks.training.drawn import LOG_EVERY_IMAGES, drawn_images, images_name, once
from sr_tasks.training.photos import training_photos, validation_photos
from sr_tasks.training.recipe import DegradationRecipe, PhotosRecipe, Recipe


@dataclass(frozen=True, kw_only=True)
class Degraded:
    """`small` uint8 [n * variants, side/scale, side/scale], image after image; `levels` float64 [n * variants]."""

    small: Codes
    levels: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """`large` uint8 [n, side, side]; `small` uint8 [n, kinds, side/scale, side/scale] in the order of KINDS."""

    large: Codes
    small: Codes
    trained: int
    """How many of them are trained on; those behind measure progress."""

    degraded: Degraded | None = None


@dataclass(frozen=True, kw_only=True)
class Batch:
    """`luma` float32 [b, 1, patch + 2 margin, ...] and `target` float32 [b, 1, scale * patch, ...], both in 0..1; all
    of one level, in 8-bit codes."""

    luma: NDArray[np.float32]
    target: NDArray[np.float32]
    level: float = 0.0


def load_or_draw_pool(recipe: Recipe, folder: Path, photos: Path | None = None) -> Pool:
    """The pool of `recipe`, training images first, then those held out; drawn once, then mapped from `folder`.

    `photos` is the folder of the photographs, for a recipe that names some. Raises UsageError for photographs that are
    others than the recipe's, or of another size than its drawn images.
    """
    large, trained = drawn_images(recipe, folder), recipe.pool.images
    scaled = folder / f"{images_name(recipe)}-x{recipe.scale}"
    if recipe.photos is not None and photos is not None:
        large, trained = _with_photos(recipe, recipe.photos, large, photos, folder)
        scaled = scaled.with_name(f"{scaled.name}-{recipe.photos.list_sha256[:16]}-{trained}")
    if recipe.scale == 1:
        small: Codes = np.broadcast_to(large[:, None], (len(large), len(KINDS), *large.shape[1:]))
    else:
        once(scaled, lambda draft: _draw_small(recipe, large, draft))
        small = np.load(scaled / "small.npy", mmap_mode="r")
    if recipe.degradation is None:
        return Pool(large=large, small=small, trained=trained, degraded=None)
    degradation = recipe.degradation
    stored = folder / f"{scaled.name}-{recipe.degradation_fingerprint()}"
    once(stored, lambda draft: _draw_degraded(recipe, degradation, small, draft))
    degraded = Degraded(small=np.load(stored / "small.npy", mmap_mode="r"), levels=np.load(stored / "levels.npy"))
    return Pool(large=large, small=small, trained=trained, degraded=degraded)


def _with_photos(recipe: Recipe, wanted: PhotosRecipe, drawn: Codes, photos: Path, folder: Path) -> tuple[Codes, int]:
    """Drawn images and, evenly chosen, so many photographs that they are the recipe's share; then the middles of those
    of the validation split. Also how many are trained on."""
    side, images = recipe.pool.side, recipe.pool.images
    own = training_photos(wanted, photos, folder)
    if own.shape[-1] != side:
        raise UsageError(
            f"The photographs in {photos} are {own.shape[-1]} px wide, the drawn images {side} px.",
            hint=f"Let pool.side of the recipe be {own.shape[-1]}.",
        )
    count = len(own) if wanted.share == 1 else min(len(own), round(images * wanted.share / (1 - wanted.share)))
    chosen = own[np.arange(count) * len(own) // count]
    held_out = [_middle(plane, side) for plane in validation_photos(wanted, photos, wanted.validation).values()]
    return np.concatenate([drawn[:images], chosen, np.stack(held_out)]), images + count


def _middle(plane: Codes, side: int) -> Codes:
    top, left = ((length - side) // 2 for length in plane.shape)
    return plane[top : top + side, left : left + side]


def _draw_small(recipe: Recipe, large: Codes, folder: Path) -> None:
    side = recipe.pool.side // recipe.scale
    shape = (len(large), len(KINDS), side, side)
    small = np.lib.format.open_memmap(folder / "small.npy", mode="w+", dtype=np.uint8, shape=shape)
    for index, image in enumerate(large):
        sigma = float(np.random.default_rng([recipe.seed, index, 2]).uniform(*BLUR_SIGMA_RANGE)) * recipe.scale / 2
        plane = image.astype(np.float64)
        for position, kind in enumerate(KINDS):
            small[index, position] = to_codes(downscale(plane, kind, recipe.scale, sigma=sigma))
    small.flush()


def _draw_degraded(recipe: Recipe, degradation: DegradationRecipe, small: Codes, folder: Path) -> None:
    side, variants = small.shape[-1], degradation.variants
    shape = (len(small) * variants, side, side)
    degraded = np.lib.format.open_memmap(folder / "small.npy", mode="w+", dtype=np.uint8, shape=shape)
    levels = np.empty(len(degraded))
    shares = _shares(recipe)
    for index in range(len(degraded)):
        rng = np.random.default_rng([recipe.seed, index, 4])
        clean = small[index // variants, int(rng.choice(len(KINDS), p=shares))]
        degraded[index] = degrade(degradation, rng, clean)
        levels[index] = level_of(degraded[index], clean)
        if (index + 1) % (10 * LOG_EVERY_IMAGES) == 0:
            logger.info("Degraded {} of {} images", index + 1, len(degraded))
    degraded.flush()
    np.save(folder / "levels.npy", levels)


def _shares(recipe: Recipe) -> NDArray[np.float64]:
    shares = np.array([recipe.down_scaling.get(kind, 0.0) for kind in KINDS])
    normalised: NDArray[np.float64] = shares / shares.sum()
    return normalised


def draw_batch(pool: Pool, recipe: Recipe, step: int, margin: int) -> Batch:
    """The batch of `step`: it depends on the recipe and the step alone, so that a resumed run sees the same ones."""
    rng = np.random.default_rng([recipe.seed, step, 3])
    size = recipe.optimisation.batch
    degradation, level = recipe.degradation, 0.0
    if degradation is None or pool.degraded is None or rng.random() < degradation.clean_share:
        kinds = rng.choice(len(KINDS), size, p=_shares(recipe))
        images = rng.integers(pool.trained, size=size)
        small = [pool.small[image, kind] for image, kind in zip(images, kinds, strict=True)]
    else:
        chosen = _of_one_level(pool.degraded, pool.trained * degradation.variants, rng, size)
        images = chosen // degradation.variants
        small = [pool.degraded.small[index] for index in chosen]
        told = float(np.sqrt(np.mean(pool.degraded.levels[chosen] ** 2)))
        level = told * float(np.exp(rng.normal(0.0, degradation.level_error)))
    return _cut(pool.large, images, small, recipe, margin, rng, level)


def _of_one_level(degraded: Degraded, trained: int, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    """Indexes of degraded images to train on, neighbours in the order of their levels."""
    order = np.argsort(degraded.levels[:trained], kind="stable")
    window = min(len(order), max(2 * size, len(order) // 50))
    first = int(rng.integers(len(order) - window + 1))
    chosen: NDArray[np.int64] = order[first + rng.integers(window, size=size)]
    return chosen


def _cut(
    large: Codes, images: NDArray[np.int64], small: list[Codes], recipe: Recipe, margin: int, rng: np.random.Generator,
    level: float,
) -> Batch:  # fmt: skip
    size, patch, scale = recipe.optimisation.batch, recipe.optimisation.patch, recipe.scale
    window = patch + 2 * margin
    corners = rng.integers(small[0].shape[-1] - window + 1, size=(size, 2))
    turns = rng.integers(8, size=size)
    luma = np.empty((size, 1, window, window), dtype=np.float32)
    target = np.empty((size, 1, scale * patch, scale * patch), dtype=np.float32)
    for i, (image, (top, left), turn) in enumerate(zip(images, corners, turns, strict=True)):
        y, x = scale * (top + margin), scale * (left + margin)
        truth = large[image, y : y + scale * patch, x : x + scale * patch]
        source = small[i][top : top + window, left : left + window]
        luma[i, 0], target[i, 0] = _turned(source, int(turn)), _turned(truth, int(turn))
    return Batch(luma=luma / np.float32(255), target=target / np.float32(255), level=level)


def _turned(plane: Codes, turn: int) -> Codes:
    """One of the eight ways to lay a square: quarter turns, mirrored from 4 on."""
    turned = np.rot90(plane, turn % 4)
    return turned[:, ::-1] if turn >= 4 else turned
