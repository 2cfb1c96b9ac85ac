"""Known pictures, and how far two networks depart from each other on them. Knows neither torch nor files."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.pictures import drawn_picture, natural_picture
from sr_tasks.intake.running import Picture

MAX_DEPARTURE = 1 / 255
"""One 8-bit code."""

Run = Callable[[Picture], Picture]
"""A network: [1, C, rows, columns] in 0..1 to [1, C, scale * rows, scale * columns]."""


def natural(channels: int, rows: int, columns: int) -> Picture:
    """Like a photograph, with colours that differ between objects."""
    planes = [natural_picture(rows, columns, seed=seed) for seed in range(channels)]
    return _stacked([0.7 * planes[0] + 0.3 * plane for plane in planes])


def drawn(channels: int, rows: int, columns: int) -> Picture:
    """Like a drawing: gradients, edges, stripes, flat areas."""
    return _stacked([drawn_picture(rows, columns, seed=seed + 1) for seed in range(channels)])


def noise(channels: int, rows: int, columns: int, *, seed: int = 0) -> Picture:
    """Every px by itself, over the whole range."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.0, 1.0, (1, channels, rows, columns)).astype(np.float32)


def departure(run: Run, reference: Run, pictures: Iterable[Picture], label: str) -> float:
    """Largest difference between the two, of values in 0..1 after clipping, as a job would see it.

    Raises ModelRejected if one of them gives what is no number, or another shape than the other.
    """
    worst = 0.0
    for picture in pictures:
        found, expected = run(picture), reference(picture)
        if found.shape != expected.shape:
            raise ModelRejected(
                f"{label} gives {found.shape} as ONNX and {expected.shape} as it was brought.", hint="Export it anew."
            )
        if not (np.isfinite(found).all() and np.isfinite(expected).all()):
            raise ModelRejected(f"{label} gives what is no number.", hint="Its weights are damaged or not trained.")
        difference = np.clip(found, 0.0, 1.0) - np.clip(expected, 0.0, 1.0)
        worst = max(worst, float(np.abs(difference).max()))
    return worst


def _stacked(planes: list[NDArray[np.float64]]) -> Picture:
    return np.stack(planes)[np.newaxis].astype(np.float32)
