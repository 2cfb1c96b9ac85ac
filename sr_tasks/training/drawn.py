"""The synthetic images of a recipe, drawn once and kept on disk. Makes none of them small."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from loguru import logger

from sr_tasks.planes.scaling import Codes
from sr_tasks.training.recipe import Recipe
from sr_tasks.training.synthesis import draw_image

LOG_EVERY_IMAGES: Final = 100
_IMAGES_A_TASK: Final = 4
"""A process draws at least so many at a time. Fewer are drawn in this process, as starting another takes longer."""


def images_name(recipe: Recipe) -> str:
    """Of the folder that holds them: recipes that draw the same images share it."""
    return f"pool-{recipe.pool_fingerprint()}"


def drawn_images(recipe: Recipe, folder: Path, processes: int = 1) -> Codes:
    """uint8 [n, side, side], those to train on first, then those held out; mapped from `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    images = folder / images_name(recipe)
    once(images, lambda draft: _draw(recipe, draft, processes))
    large: Codes = np.load(images / "large.npy", mmap_mode="r")
    return large


def _draw(recipe: Recipe, folder: Path, processes: int) -> None:
    side, count = recipe.pool.side, recipe.pool.images + recipe.pool.held_out
    large = np.lib.format.open_memmap(folder / "large.npy", mode="w+", dtype=np.uint8, shape=(count, side, side))
    for index, image in enumerate(_images(recipe, count, processes)):
        large[index] = image
        if (index + 1) % LOG_EVERY_IMAGES == 0:
            logger.info("Drew {} of {} synthetic images", index + 1, count)
    large.flush()


def _images(recipe: Recipe, count: int, processes: int) -> Iterator[Codes]:
    draw = partial(draw_image, recipe.pool, recipe.seed)
    processes = min(processes, -(-count // _IMAGES_A_TASK))
    if processes == 1:
        yield from map(draw, range(count))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(draw, range(count), chunksize=_IMAGES_A_TASK)


def once(stored: Path, make: Callable[[Path], None]) -> None:
    """Let `make` fill a folder that becomes `stored` when it is whole."""
    if stored.is_dir():
        return
    draft = Path(tempfile.mkdtemp(prefix="pool-draft-", dir=stored.parent))
    try:
        make(draft)
        os.replace(draft, stored)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
