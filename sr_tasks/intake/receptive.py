"""How far a network sees, and which sizes it takes: found by running it on pictures that differ in one part.

The receptive field decides how much context a tile needs. Reading it off the graph fails for networks with windows,
attention or means over the picture, so it is measured: how far from a changed part does the output change? Then tiles
with that context are compared with the whole picture. Only equal results make a network `exact`; every other network
gets overlapping tiles that are blended.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sr_tasks.errors import ModelInvalid
from sr_tasks.intake.proof import Run, drawn, natural, noise
from sr_tasks.intake.running import RUN_ERRORS, Picture
from sr_tasks.records.cards import Tiling

OVERLAP_PX = 32
"""Over which tiles of networks that see everything are blended: what the field uses."""

MAX_HALO_PX = 96
"""Beyond this more would be computed around tiles than in them; such a network is blended like one that sees all."""

EXACT = 1e-6
"""Difference in 0..1 that is rounding: ONNX Runtime may add up in another order at another size."""

_SIDES = (64, 128, 256)
_BREADTH = 24
_PHASES = (0, 1, 3)
_MULTIPLES = (2, 4, 8, 16, 32, 64)
_GRIDS = (1, 2, 4, 8, 16)
_TILE_PX = 24


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was found. `reach` is in source px to each side; None if the whole picture matters, or further than any
    tile is worth."""

    reach: int | None
    tiling: Tiling


def look(
    run: Run,
    *,
    channels: int,
    scale: int,
    multiple: int = 1,
    minimum: int = 1,
    fixed: tuple[int, int] | None = None,
    is_global: bool = False,
) -> Sight:
    """Find how pictures may be cut for a network.

    `multiple` and `minimum` are what is known of its sizes; more is found. A network is exact if tiles with a halo
    come out as in the whole picture, which is tried; windows then begin at multiples of `tiling.multiple`. Raises
    ModelInvalid if the network takes no size that was tried.
    """
    if fixed is not None:
        halo = min(OVERLAP_PX, min(fixed) // 8)
        return Sight(reach=None, tiling=Tiling(mode="overlap", halo=halo, fixed=fixed))
    net = _Net(run, channels, scale)
    multiple = _multiple(net, multiple, minimum)
    minimum = _minimum(net, multiple, minimum)
    reach = None if is_global else _reach(net, multiple, minimum)
    if reach is not None and reach <= MAX_HALO_PX:
        for grid in sorted({multiple * factor for factor in _GRIDS if factor == 1 or multiple * factor <= _GRIDS[-1]}):
            if _is_exact(net, reach, grid, minimum):
                return Sight(reach=reach, tiling=Tiling(halo=reach, multiple=grid, minimum=minimum))
    halo = _up(OVERLAP_PX, multiple)
    return Sight(reach=None, tiling=Tiling(mode="overlap", halo=halo, multiple=multiple, minimum=minimum))


class _Net:
    """A network and what its answers must look like."""

    def __init__(self, run: Run, channels: int, scale: int) -> None:
        self.run = run
        self.channels = channels
        self.scale = scale

    def takes(self, rows: int, columns: int) -> bool:
        """Whether it enlarges a picture of this size by its scale."""
        try:
            shape = self.run(noise(self.channels, rows, columns)).shape
        except RUN_ERRORS:
            return False
        return shape == (1, self.channels, rows * self.scale, columns * self.scale)


def _multiple(net: _Net, multiple: int, minimum: int) -> int:
    """Smallest number whose odd multiples the network takes."""
    for candidate in (multiple, *(one for one in _MULTIPLES if one > multiple and one % multiple == 0)):
        rows = _up(max(_SIDES[0], minimum), 2 * candidate) + candidate
        if net.takes(rows, rows + 2 * candidate):
            return candidate
    raise ModelInvalid(
        f"The network takes no picture of sides that are multiples of {_MULTIPLES[-1]}.",
        hint="Export it for pictures of any size.",
    )


def _minimum(net: _Net, multiple: int, minimum: int) -> int:
    """Smallest side of those tried, doubling, from which on the network takes pictures."""
    large = _up(max(_SIDES[0], minimum), multiple)
    side = _up(max(1, minimum), multiple)
    while side < large:
        if all(net.takes(*size) for size in ((side, side), (side, large), (large, side))):
            return side
        side *= 2
    return large


def _reach(net: _Net, multiple: int, minimum: int) -> int | None:
    for side in _SIDES:
        length = _up(max(side, minimum), 2 * multiple)
        found = _reach_within(net, length, _up(max(_BREADTH, minimum), multiple))
        # Nearer to the edge than that it may be the edge that ended it.
        if found < length // 2 - max(_PHASES) - multiple:
            return found
    return None


def _reach_within(net: _Net, length: int, breadth: int) -> int:
    """Largest distance over which a change is felt: the picture is changed on one side of a line, and it is seen how
    far beyond the answer changes, in all four directions. A whole half is changed, so that a path that is closed for
    one px, or one value, is open for another."""
    furthest = 0
    for is_upright in (False, True):
        shape = (length, breadth) if is_upright else (breadth, length)
        for paint, phase in zip(_paints(net.channels), _PHASES, strict=True):
            one, other = paint(*shape, 0), paint(*shape, 1)
            furthest = max(furthest, *_felt(net, one, other, length // 2 + phase, is_upright))
    return furthest


def _felt(net: _Net, one: Picture, other: Picture, line: int, is_upright: bool) -> tuple[int, int]:
    """How far the change of all before `line` is felt behind it, and the other way round."""
    before, behind = (
        (np.s_[..., :line, :], np.s_[..., line:, :]) if is_upright else (np.s_[..., :line], np.s_[..., line:])
    )
    changed_before, changed_behind = one.copy(), one.copy()
    changed_before[before] = other[before]
    changed_behind[behind] = other[behind]
    plain = net.run(one)
    last = _touched(plain, net.run(changed_before), net.scale, is_upright)
    first = _touched(plain, net.run(changed_behind), net.scale, is_upright)
    forward = int(last.max()) - (line - 1) if last.size else 0
    backward = line - int(first.min()) if first.size else 0
    return max(0, forward), max(0, backward)


def _touched(plain: Picture, changed: Picture, scale: int, is_upright: bool) -> NDArray[np.intp]:
    """Source rows (or columns) whose part of the answer differs."""
    differs = (plain != changed).any(axis=(0, 1, 3 if is_upright else 2))
    return np.flatnonzero(differs.reshape(-1, scale).any(axis=1))


def _paints(channels: int) -> tuple[Callable[[int, int, int], Picture], ...]:
    """Pictures of three kinds: noise, black and white px, and like a photograph (or a drawing)."""

    def plain(rows: int, columns: int, seed: int) -> Picture:
        return noise(channels, rows, columns, seed=seed)

    def harsh(rows: int, columns: int, seed: int) -> Picture:
        return np.rint(noise(channels, rows, columns, seed=seed + 10)).astype(np.float32)

    def gentle(rows: int, columns: int, seed: int) -> Picture:
        return (natural if seed == 0 else drawn)(channels, rows, columns)

    return plain, harsh, gentle


def _is_exact(net: _Net, reach: int, grid: int, minimum: int) -> bool:
    """Whether a tile fed with its halo comes out as in the whole picture: one in the middle of it, one at its corner.
    Windows begin at odd multiples of the grid."""
    halo = _up(reach, grid)
    tile = _up(max(_TILE_PX, minimum), 2 * grid)
    window = tile + 2 * halo
    side = window + 3 * grid
    picture = noise(net.channels, side, side + 2 * grid, seed=5)
    try:
        whole = net.run(picture)
        inner = _part(net, picture, grid, grid, window)
        corner = _part(net, picture, 0, 3 * grid + 2 * grid, window)
    except RUN_ERRORS:
        return False
    scale = net.scale
    top = left = grid + halo
    expected = whole[..., top * scale : (top + tile) * scale, left * scale : (left + tile) * scale]
    found = inner[..., halo * scale : (halo + tile) * scale, halo * scale : (halo + tile) * scale]
    if np.abs(found - expected).max() > EXACT:
        return False
    # At the picture's own border, top and right, nothing is thrown away.
    first = 5 * grid + halo
    expected = whole[..., : (tile + halo) * scale, first * scale :]
    found = corner[..., : (tile + halo) * scale, halo * scale :]
    return bool(np.abs(found - expected).max() <= EXACT)


def _part(net: _Net, picture: Picture, top: int, left: int, side: int) -> Picture:
    return net.run(np.ascontiguousarray(picture[..., top : top + side, left : left + side]))


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
