"""What a training on photographs draws from: large planes and all their small versions, on the device; cuts patches
there. Knows no network."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sr_tasks.errors import UsageError
from sr_tasks.planes.scaling import Codes
from sr_tasks.training.downscale import BLUR_SIGMA_RANGE, KINDS, axis_matrix
from sr_tasks.training.recipe import DownScaling, Recipe

BLURS: Final = 5
"""Blurs of different sigma, evenly over their range, among the versions of a plane."""

DETAIL_RANGE: Final = (1.0, 8.0)
"""Codes: a photograph is drawn in proportion to its mean step from px to px, bounded by these."""

BLOCK: Final = 256
"""Steps whose patches are drawn at once."""

Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Planes of one size. `large` uint8 [n, side, side]; `small` uint8 [n, phases, versions, s, s], where phase
    p begins p // scale rows and p % scale columns into the plane. Both are flat parts of the stock."""

    planes: int
    side: int
    small_side: int
    phases: int
    large_at: int
    small_at: int
    weights: NDArray[np.float64]
    """How often each plane is drawn; the sum over all shelves is one."""


@dataclass(frozen=True, kw_only=True)
class Stock:
    """All shelves. `large` and `small` are flat uint8 tensors on the device."""

    scale: int
    shelves: tuple[Shelf, ...]
    large: Tensor
    small: Tensor
    versions: NDArray[np.float64]
    """How often each version is drawn; their sum is one."""


def versions_of(recipe: Recipe) -> list[tuple[DownScaling, float, float]]:
    """Kind, sigma and share of every small version."""
    total = sum(recipe.down_scaling.values())
    versions: list[tuple[DownScaling, float, float]] = []
    for kind in KINDS:
        share = recipe.down_scaling.get(kind, 0.0) / total
        sigmas = np.linspace(*BLUR_SIGMA_RANGE, BLURS) * recipe.scale / 2 if kind == "blurred" else np.array([0.8])
        versions += [(kind, float(sigma), share / len(sigmas)) for sigma in sigmas]
    return versions


def stocked(recipe: Recipe, photos: Codes, drawn: Codes, device: str) -> Stock:
    """`photos` uint8 [n, side, side] in every phase and `drawn` uint8 [m, side, side] in one, made small on `device`.

    A phase is where the grid of the small picture begins: a photograph taken a little to the side is another one.
    """
    share = recipe.photos.share if recipe.photos is not None else 0.0
    detail = np.abs(np.diff(photos.astype(np.int16), axis=2)).mean(axis=(1, 2)).clip(*DETAIL_RANGE)
    groups = [
        (photos, recipe.scale**2, share * detail / detail.sum()),
        (drawn, 1, np.full(len(drawn), (1 - share) / len(drawn))),
    ]
    shelves, large, small = [], [], []
    large_at = small_at = 0
    for planes, phases, weights in groups:
        on_device = torch.from_numpy(np.array(planes)).to(device)
        versions = _made_small(recipe, on_device, phases)
        shelves.append(
            Shelf(
                planes=len(planes),
                side=planes.shape[-1],
                small_side=versions.shape[-1],
                phases=phases,
                large_at=large_at,
                small_at=small_at,
                weights=weights,
            )  # fmt: skip
        )
        large.append(on_device.flatten())
        small.append(versions.flatten())
        large_at, small_at = large_at + large[-1].numel(), small_at + small[-1].numel()
    shares = np.array([version[2] for version in versions_of(recipe)])
    return Stock(
        scale=recipe.scale, shelves=tuple(shelves), large=torch.cat(large), small=torch.cat(small), versions=shares
    )


def _made_small(recipe: Recipe, planes: Tensor, phases: int) -> Tensor:
    """uint8 [n, side, side] to uint8 [n, phases, versions, s, s]."""
    scale, versions = recipe.scale, versions_of(recipe)
    side = planes.shape[-1] // scale * scale - (scale if phases > 1 else 0)
    matrices = [
        torch.from_numpy(axis_matrix(side, kind, scale, sigma=sigma)).float().to(planes.device)
        for kind, sigma, _ in versions
    ]
    small = torch.empty(
        (len(planes), phases, len(versions), side // scale, side // scale), dtype=torch.uint8, device=planes.device
    )
    for first in range(0, len(planes), 64):
        some = slice(first, first + 64)
        part = planes[some].float()
        for left in range(scale if phases > 1 else 1):
            for version, matrix in enumerate(matrices):
                narrow = part[:, :, left : left + side] @ matrix.T
                for phase in range(left, phases, scale):
                    top = phase // scale
                    reduced = matrix @ narrow[:, top : top + side]
                    small[some, phase, version] = (reduced + 0.5).floor().clamp(0, 255).to(torch.uint8)
    return small


def draw_places(stock: Stock, recipe: Recipe, block: int, margin: int) -> Places:
    """Where the patches of BLOCK steps lie: int64 [BLOCK, 6, batch].

    Of the small window, then of the large patch: position of the first px, way to the next row, way to the next
    column. The turn and the mirror of a patch lie in these ways. Depends on recipe and block alone.
    Raises UsageError for photographs that are smaller than a patch.
    """
    rng = np.random.default_rng([recipe.seed, block, 6])
    count = BLOCK * recipe.optimisation.batch
    patch, scale = recipe.optimisation.patch, stock.scale
    window = patch + 2 * margin
    if (smallest := min(shelf.small_side for shelf in stock.shelves)) < window:
        raise UsageError(
            f"A patch of {patch} px needs {window} px, but a picture made small has {smallest}.",
            hint="Lower optimisation.patch or take larger photographs.",
        )
    ends = np.cumsum([len(shelf.weights) for shelf in stock.shelves])
    chosen = rng.choice(ends[-1], count, p=np.concatenate([shelf.weights for shelf in stock.shelves]))
    version = rng.choice(len(stock.versions), count, p=stock.versions)
    luck, turn = rng.random((3, count)), rng.integers(8, size=count)
    places = np.empty((6, count), dtype=np.int64)
    for shelf, end in zip(stock.shelves, ends, strict=True):
        here = np.flatnonzero((chosen < end) & (chosen >= end - len(shelf.weights)))
        plane = chosen[here] - (end - len(shelf.weights))
        phase = (luck[2, here] * shelf.phases).astype(np.int64)
        top, left = (luck[:2, here] * (shelf.small_side - window + 1)).astype(np.int64)
        small = (plane * shelf.phases + phase) * len(stock.versions) + version[here]
        y = phase // scale + scale * (top + margin)
        x = phase % scale + scale * (left + margin)
        first = shelf.small_at + (small * shelf.small_side + top) * shelf.small_side + left
        places[:3, here] = _ways(first, shelf.small_side, window, turn[here])
        first = shelf.large_at + (plane * shelf.side + y) * shelf.side + x
        places[3:, here] = _ways(first, shelf.side, scale * patch, turn[here])
    by_step: Places = places.reshape(6, BLOCK, -1).transpose(1, 0, 2)
    return np.ascontiguousarray(by_step)


def _ways(first: Places, stride: int, side: int, turn: Places) -> Places:
    """[3, n]: first px, way to the next row and to the next column of squares, laid in one of eight ways each."""
    down, right = np.full_like(first, stride), np.ones_like(first)
    flipped_down, flipped_right, swapped = turn & 1 > 0, turn & 2 > 0, turn & 4 > 0
    first = first + flipped_down * (side - 1) * down + flipped_right * (side - 1) * right
    down, right = np.where(flipped_down, -down, down), np.where(flipped_right, -right, right)
    return np.stack([first, np.where(swapped, right, down), np.where(swapped, down, right)])


def cut(stock: Stock, places: Tensor, window: int, side: int) -> tuple[Tensor, Tensor]:
    """The patches at `places` int64 [6, batch]: float32 [batch, 1, window, window] and [batch, 1, side, side], 0..1."""
    return _gathered(stock.small, places[:3], window), _gathered(stock.large, places[3:], side)


def _gathered(flat: Tensor, ways: Tensor, side: int) -> Tensor:
    steps = torch.arange(side, device=flat.device)
    first, down, right = (way[:, None, None, None] for way in ways)
    return flat[first + down * steps[:, None] + right * steps].float() / 255
