"""The traces that noise and compression leave in a picture, as numbers for `degradation` to weigh. NumPy alone."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

BLOCK: Final = 8
SMALLEST_PX: Final = 48
_QUANTILES: Final = (5, 10, 25, 50, 75, 90, 97)
_PERIODS: Final = (8, 4, 16)
_PARTS: Final = 4
_LAGS: Final = (1, 2, 3)
_FLOOR: Final = 0.1
"""Codes added before a logarithm is taken."""


def traces(plane: Plane) -> NDArray[np.float32]:
    """Of luma [H, W] in 8-bit codes, both sides at least SMALLEST_PX: a vector that does not depend on its size.

    How strong differences of several kinds and widths are in blocks, from the calmest to the busiest; how many of them
    vanish, as quantising makes them; how strong they are where the picture itself is calm; how much they repeat with
    the period of a codec's blocks; and how alike neighbouring ones are.
    """
    rows, columns = (side // BLOCK * BLOCK + 2 for side in (plane.shape[0] - 2, plane.shape[1] - 2))
    plane = plane[:rows, :columns]
    across, down = plane[:, 1:] - plane[:, :-1], plane[1:] - plane[:-1]
    bends = across[:, 1:] - across[:, :-1], down[1:] - down[:-1]
    crossed = _crossed(plane)
    twice = _crossed(crossed)
    half = _halved(plane)
    quarter = _halved(half)
    fine = [across, down, *bends, crossed, twice]
    coarse = [_crossed(half), _crossed(_crossed(half)), half[:, 1:] - half[:, :-1]]
    coarse += [_crossed(quarter), quarter[:, 1:] - quarter[:, :-1]]
    found = [_strengths(band, BLOCK) for band in fine] + [_strengths(band, BLOCK // 2) for band in coarse]
    found += [_vanishing(band) for band in (across, *bends, crossed, twice)]
    found += [_where_calm(quarter, crossed, twice)]
    found += [_periodic(np.abs(bend), axis) for axis, bend in enumerate(bends)]
    found += [np.array([_log(plane.std())]), _likeness(crossed)]
    return np.concatenate(found).astype(np.float32)


def _log(values: NDArray[np.floating] | float) -> NDArray[np.floating]:
    return np.log(np.asarray(values) + _FLOOR)


def _crossed(plane: Plane) -> Plane:
    """Differences along both axes: blind to edges that run along one of them."""
    result: Plane = plane[1:, 1:] - plane[1:, :-1] - plane[:-1, 1:] + plane[:-1, :-1]
    return result


def _halved(plane: Plane) -> Plane:
    result: Plane = _blocks(plane, 2).mean(axis=(1, 3))
    return result


def _blocks(plane: Plane, side: int) -> Plane:
    """[rows, side, columns, side], what is left over at the far borders cut off."""
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return plane[: rows * side, : columns * side].reshape(rows, side, columns, side)


def _root_mean_square(plane: Plane, side: int) -> Plane:
    result: Plane = np.sqrt(np.square(_blocks(plane, side)).mean(axis=(1, 3)))
    return result


def _strengths(band: Plane, side: int) -> NDArray[np.floating]:
    return _log(np.percentile(_root_mean_square(band, side), _QUANTILES))


def _vanishing(band: Plane) -> NDArray[np.floating]:
    size = np.abs(band)
    return np.array([np.mean(size < 0.5), np.mean(size < 1.5)])


def _where_calm(quarter: Plane, *bands: Plane) -> NDArray[np.floating]:
    """Strengths in the quarter of the blocks where the coarse picture is calmest, in the next one, and so on."""
    strengths = [_root_mean_square(band, BLOCK) for band in bands]
    rows, columns = np.min([strength.shape for strength in strengths], axis=0)
    activity = _blocks(quarter, 2)[:rows, :, :columns].std(axis=(1, 3))
    rows, columns = activity.shape
    order = np.argsort(activity.ravel(), kind="stable")
    found = []
    for part in np.array_split(order, _PARTS):
        for strength in strengths:
            values = strength[:rows, :columns].ravel()[part]
            found += [np.median(values), np.percentile(values, 15), np.sqrt(np.square(values).mean())]
    return _log(np.array(found))


def _periodic(size: Plane, axis: int) -> NDArray[np.floating]:
    """How far the strongest, the next and the weakest place of each period stand out."""
    profile = np.minimum(size, 20).mean(axis=axis)
    found: list[float] = []
    for period in _PERIODS:
        places = _log(profile[: len(profile) // period * period].reshape(-1, period).mean(axis=0))
        places = np.sort(places - np.median(places))
        found += [places[-1], places[-2], places[0]]
    return np.array(found)


def _likeness(crossed: Plane) -> NDArray[np.floating]:
    """Correlation of neighbours, which tells white noise from what a codec or a lens has left."""
    clipped = np.clip(crossed, -12, 12)
    power = np.square(clipped).mean() + 0.01
    pairs = [(clipped[:, lag:] * clipped[:, :-lag], clipped[lag:] * clipped[:-lag]) for lag in _LAGS]
    return np.array([np.mean(product) / power for pair in pairs for product in pair])
