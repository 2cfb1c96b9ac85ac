"""Geometry of tiles: which windows of a picture a network is fed, and which part of each answer is kept. Pure."""

import math
from dataclasses import dataclass

from sr_tasks.errors import ModelRejected
from sr_tasks.planes.resample import RADIUS, chroma_siting, from_luma
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.prepared import GraphVariant

SMALLEST_TILE_PX = 32
"""Below this most of what is computed would be halo."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a graph asks of the windows it is fed. All in source px.

    `margin` px at each inner edge of a window are computed and thrown away; over `ramp` px more, two neighbours are
    blended. Windows start at multiples of `grid`, so that subsampled chroma and strides inside the network fall into
    place. A picture whose sides are no `multiple`, or below `minimum`, is extended to the right and at the bottom.
    """

    margin: int
    ramp: int
    grid: int
    multiple: int
    minimum: int
    fixed: tuple[int, int] | None

    @classmethod
    def of(cls, card: ModelCard, variant: GraphVariant) -> "Layout":
        """Margin and ramp come out as multiples of the grid."""
        tiles = card.tiles
        grid = math.lcm(tiles.multiple, 1 if variant.chroma in ("444", "gray") else 2)
        is_blended = tiles.mode == "overlap"
        margin = _resamplers_halo(card, variant) if is_blended else required_halo(card, variant)
        return cls(
            margin=_up(margin, grid),
            ramp=_up(tiles.halo, grid) if is_blended else 0,
            grid=grid,
            multiple=tiles.multiple,
            minimum=tiles.minimum,
            fixed=tiles.fixed,
        )

    @property
    def smallest_tile(self) -> int:
        """Side of the smallest tile worth cutting; neighbouring ramps must not meet."""
        return max(SMALLEST_TILE_PX, self.minimum, _up(2 * self.ramp, self.grid))


@dataclass(frozen=True, kw_only=True)
class Span:
    """A window along one axis: fed from `start` on, kept from `first` to `last`. The outermost `ramp_in` and `ramp_out`
    px of what is kept are shared with the window before and the window after."""

    start: int
    first: int
    last: int
    ramp_in: int
    ramp_out: int


@dataclass(frozen=True, kw_only=True)
class Axis:
    """All windows along one axis, each `window` px long; together they keep every px up to `padded`, which is `size`
    unless the picture must be extended."""

    size: int
    padded: int
    window: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The windows of a frame: every span of `rows` with every span of `columns`."""

    rows: Axis
    columns: Axis

    @property
    def is_whole(self) -> bool:
        """One window that is the frame itself."""
        return all(len(axis.spans) == 1 and axis.window == axis.size for axis in (self.rows, self.columns))

    @property
    def windows(self) -> int:
        return len(self.rows.spans) * len(self.columns.spans)


def required_halo(card: ModelCard, variant: GraphVariant) -> int:
    """Source px around a tile that its answer depends on, of the whole graph: the network's own halo, and what the
    resamplers of chroma reach. In an RGB graph chroma goes through one, the network, and another."""
    own, resamplers = card.tiles.halo, _resamplers_halo(card, variant)
    return own + resamplers if card.color == "rgb" else max(own, resamplers)


def _resamplers_halo(card: ModelCard, variant: GraphVariant) -> int:
    if variant.chroma == "gray":
        return RADIUS if card.kind == "resampler" else 0
    if card.color != "rgb":
        return RADIUS if variant.chroma == "444" else 2 * RADIUS
    if variant.chroma == "444":
        return 0
    sitings = chroma_siting(variant.chroma, variant.chroma_location)
    ends = [from_luma(siting, undoes=variant.scale == 1) for siting in sitings]
    reach = max(max(end.before, end.after) for end in ends)
    return 2 * RADIUS + -(-reach // variant.scale)


def plan_grid(layout: Layout, width: int, height: int, tile_px: int) -> Grid:
    """Cut a frame into tiles of about `tile_px` a side; 0 leaves it whole, if the network takes it so.

    All windows of a frame have one size, so that one session serves them all. Raises ModelRejected for a network of a
    fixed size that its own halo fills.
    """
    rows, columns = layout.fixed or (0, 0)
    return Grid(rows=_axis(layout, height, tile_px, rows), columns=_axis(layout, width, tile_px, columns))


def _axis(layout: Layout, size: int, tile_px: int, fixed: int) -> Axis:
    margin, ramp, grid = layout.margin, layout.ramp, layout.grid
    padded = size if fixed else _up(max(size, layout.minimum), layout.multiple)
    if fixed:
        ramp = min(ramp, _down((fixed - 2 * margin) // 3, grid))
    overlap = 2 * margin + ramp
    tile = max(tile_px, layout.smallest_tile) if tile_px else padded
    limit = fixed or _up(tile, grid) + overlap
    if limit >= padded:
        return _whole(size, fixed or padded)
    step = _down(limit - overlap, grid)
    if step <= 0 or ramp < 0:
        raise ModelRejected(
            f"A network of a fixed side of {fixed} px cannot be tiled with {overlap // 2} px thrown away at each edge.",
            hint="Export it for a larger size, or correct the halo in its card.",
        )
    count = -(-(padded - overlap) // step)
    if fixed:
        window, padded = fixed, fixed + _up(padded - fixed, grid)
    else:
        even = _up(-(-(padded - overlap) // count), grid) + overlap
        window = max(even, _up(layout.minimum, grid)) + padded % grid
        if window >= padded:
            return _whole(size, padded)
    starts = [_down(index * (padded - window) // (count - 1), grid) for index in range(count)]
    return Axis(size=size, padded=padded, window=window, spans=_spans(starts, padded, margin, ramp))


def _whole(size: int, window: int) -> Axis:
    span = Span(start=0, first=0, last=window, ramp_in=0, ramp_out=0)
    return Axis(size=size, padded=window, window=window, spans=(span,))


def _spans(starts: list[int], padded: int, margin: int, ramp: int) -> tuple[Span, ...]:
    firsts = [0, *(start + margin for start in starts[1:])]
    lasts = [*(first + ramp for first in firsts[1:]), padded]
    return tuple(
        Span(
            start=start,
            first=first,
            last=last,
            ramp_in=ramp if index else 0,
            ramp_out=ramp if index < len(starts) - 1 else 0,
        )
        for index, (start, first, last) in enumerate(zip(starts, firsts, lasts, strict=True))
    )


def _up(value: int, step: int) -> int:
    return -(-value // step) * step


def _down(value: int, step: int) -> int:
    return value // step * step
