"""Finds wrong colour matrices and ranges: errors that are a linear mix of the source's planes. Keeps moments only."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.color import LUMA_SHARES
from sr_tasks.records.colour import BT709

MEMORY = 8
"""Looks the moments reach back over: a wrong matrix stays, while an encoder that lags behind a fade comes and goes."""
VARIANCE_FLOOR = 4.0
"""Variance of a plane, in squared codes, below which it explains nothing."""
ENOUGH_CELLS = 64
"""With fewer cells the figure counts for less: sharp edges explain some error by chance."""
FEWEST_CELLS = 16
"""With fewer cells only known mistakes are looked for, not any mix."""
LEFT_SHARE, LEFT_VARYING_SHARE = 0.45, 0.7
"""A known mistake is found if it leaves less than this share of the error's energy, and of what of it varies."""

CLEAR = 0.4
"""Codes of a mix up to which it is not asked whether the ends of the scale explain it."""
_CUT_FLOOR = 0.25
"""Variance of what is cut off, in squared codes, below which it explains nothing."""

_WEIGHTS = tuple(LUMA_SHARES[colorspace] for colorspace in (6, BT709, 9))
"""Of red and blue in luma: BT.601, BT.709, BT.2020."""

Floats = NDArray[np.float32]


class MixTrack:
    """Follows how the planes' errors go with the planes' values."""

    def __init__(self, *, is_full_range: bool = False) -> None:
        self._looks = 0
        self._covariance = self._cross = np.zeros((1, 1), np.float32)
        self._mistakes = _mistakes(is_full_range)
        self._known_of = self._errors_of = np.zeros((1, 1), np.float32)
        self._energy = np.zeros(1, np.float32)

    def look(
        self, values: Floats, errors: Floats, *, are_fine: bool = False, cut_off: Callable[[], Floats] | None = None
    ) -> float:
        """Take in a frame: the source's cells and what is wrong with them, both `[planes, rows, columns]` in codes.

        Returns the codes (RMS, worst plane) of the errors that a linear mix of the planes explains. Noise of a codec is
        no such mix, and content without colour or contrast gives 0. Where there are few cells, a known mistake (matrix,
        range, planes swapped) still is found. `are_fine`: the cells are smaller than usual, so that detail which the
        enlargement softens shows in them; then only known mistakes are looked for. `cut_off` gives the codes that the
        ends of the scale take off the cells, of the same shape: what goes with them is no mix. It is called only where
        that matters.
        """
        count = values[0].size
        self._looks += 1
        weight = np.float32(1.0 / min(self._looks, MEMORY))
        found = self._known(values, errors, weight)
        if are_fine or count < FEWEST_CELLS or min(values.shape[1:]) < 2:
            return found
        wide, wide_errors = (np.stack([_fours(plane) for plane in each]) for each in (values, errors))
        share = min(1.0, float(np.sqrt(count / ENOUGH_CELLS)))
        mix = share * self._any_mix(wide, wide_errors, weight)
        if mix > CLEAR and cut_off is not None:
            mix = min(mix, share * _mix_beside(wide, wide_errors, np.stack([_fours(plane) for plane in cut_off()])))
        return max(found, mix)

    def _any_mix(self, values: Floats, errors: Floats, weight: np.float32) -> float:
        """`[planes, cells]` both."""
        planes, count = values.shape
        centred = values - values.mean(axis=1)[:, None]
        covariance = centred @ centred.T / count
        cross = errors @ centred.T / count
        self._covariance = self._covariance + (covariance - self._covariance) * weight
        self._cross = self._cross + (cross - self._cross) * weight
        steadied = self._covariance + VARIANCE_FLOOR * np.eye(planes, dtype=np.float32)
        mix = np.linalg.solve(steadied, self._cross.T).T
        explained = np.diag(mix @ self._covariance @ mix.T)
        return float(np.sqrt(max(0.0, float(np.max(explained)))))

    def _known(self, values: Floats, errors: Floats, weight: np.float32) -> float:
        """Codes of the known mistake that explains the errors, all and as they vary over the picture; 0 for none."""
        planes, count = len(values), values[0].size
        flat = np.concatenate([values.reshape(planes, -1), np.ones((1, count), np.float32)])
        wrong = errors.reshape(planes, -1)
        self._known_of = self._known_of + (flat @ flat.T / count - self._known_of) * weight
        self._errors_of = self._errors_of + (wrong @ flat.T / count - self._errors_of) * weight
        self._energy = self._energy + (np.mean(np.square(wrong), axis=1) - self._energy) * weight
        means, shifts = self._known_of[-1], self._errors_of[:, -1]
        varying = self._energy - np.square(shifts)
        about_means = self._known_of - np.outer(means, means), self._errors_of - np.outer(shifts, means)
        best = 0.0
        for matrix, zero in self._mistakes:
            mix = np.column_stack([matrix[:planes, :planes], -matrix[:planes, :planes] @ zero[:planes]])
            made = _energy(mix, self._known_of)
            if made.max() <= best**2 or _left(mix, self._known_of, self._errors_of, self._energy) > LEFT_SHARE:
                continue
            if _left(mix, *about_means, varying) <= LEFT_VARYING_SHARE:
                best = float(np.sqrt(made.max()))
        return best


def _mix_beside(values: Floats, errors: Floats, cut: Floats) -> float:
    """Codes of the errors of a frame that a mix explains and what is cut off does not; `[planes, cells]` all."""
    planes, count = values.shape
    known = np.concatenate([values, cut])
    known = known - known.mean(axis=1)[:, None]
    covariance = known @ known.T / count
    if np.diag(covariance)[planes:].max() < _CUT_FLOOR**2:
        return float("inf")
    steadied = covariance + np.diag([VARIANCE_FLOOR] * planes + [_CUT_FLOOR] * planes).astype(np.float32)
    mix = np.linalg.solve(steadied, known @ errors.T / count).T[:, :planes]
    explained = np.diag(mix @ covariance[:planes, :planes] @ mix.T)
    return float(np.sqrt(max(0.0, float(np.max(explained)))))


def _energy(mix: Floats, known: Floats) -> Floats:
    """Mean squares of what a mix gives, by plane."""
    return np.asarray(np.sum((mix @ known) * mix, axis=1), np.float32)


def _left(mix: Floats, known: Floats, errors: Floats, energy: Floats) -> float:
    """The share of the errors' energy that is left once the mix is taken off."""
    left = energy - 2.0 * np.sum(errors * mix, axis=1) + _energy(mix, known)
    return float(np.sum(left)) / max(float(np.sum(energy)), 1e-3)


def _fours(plane: Floats) -> Floats:
    """Means of four neighbouring cells each: an edge that falls between two cells blurs from one into the other."""
    return ((plane[1:, 1:] + plane[:-1, 1:] + plane[1:, :-1] + plane[:-1, :-1]) * np.float32(0.25)).ravel()


def _mistakes(is_full_range: bool) -> list[tuple[Floats, Floats]]:
    """Each known mistake as a matrix and the codes it leaves as they are: errors = matrix x (values - codes)."""
    span = np.array([255.0, 255.0, 255.0] if is_full_range else [219.0, 224.0, 224.0])
    zero = np.array([0.0 if is_full_range else 16.0, 128.0, 128.0])
    found = []
    for right in _WEIGHTS:
        for wrong in _WEIGHTS:
            if right != wrong:
                mix = _to_planes(*wrong) @ np.linalg.inv(_to_planes(*right))
                found.append((span[:, None] * mix / span - np.eye(3), zero))
    wider, narrower = np.array([255 / 219, 255 / 224, 255 / 224]), np.array([219 / 255, 224 / 255, 224 / 255])
    found.append((np.diag(wider - 1.0), np.array([16.0, 128.0, 128.0])))
    found.append((np.diag(narrower - 1.0), np.array([16.0 / (1.0 - narrower[0]), 128.0, 128.0])))
    found.append((np.array([[0.0, 0.0, 0.0], [0.0, -1.0, 1.0], [0.0, 1.0, -1.0]]), np.full(3, 128.0)))
    return [(matrix.astype(np.float32), codes.astype(np.float32)) for matrix, codes in found]


def _to_planes(red: float, blue: float) -> NDArray[np.float64]:
    """R'G'B' to Y', Cb, Cr, all from 0 (or -0.5) to 1 (or 0.5)."""
    green = 1.0 - red - blue
    u, v = 2.0 - 2.0 * blue, 2.0 - 2.0 * red
    return np.array([[red, green, blue], [-red / u, -green / u, 0.5], [0.5, -green / v, -blue / v]])
