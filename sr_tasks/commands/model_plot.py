"""Draws all models as points: what they gain over bicubic by what they cost. Runs no model: cards have the figures."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from sr_tasks.config import Settings
from sr_tasks.errors import SrError, UsageError
from sr_tasks.records.cards import ModelCard
from sr_tasks.registry.registry import Registry
from sr_tasks.storage.failures import writing

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 44, 52
COLOURS: Final = {1: "#7a5195", 2: "#1b6ca8", 3: "#5c8a2b", 4: "#c8553d", 8: "#444444"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One version. `cost` is in seconds per source megapixel, `gain_db` the mean Y-PSNR gain over bicubic."""

    label: str
    scale: int
    cost: float
    gain_db: float


def plot_models(path: Path, settings: Settings) -> tuple[list[Point], list[str]]:
    """Write the SVG file `path`. Give the points, and the versions whose cards have no figure to draw.

    The figures are those of the test set that most cards have.

    Raises UsageError if no card has one, OutputUnwritable.
    """
    cards = _cards(settings)
    gains = {label: _gains(card) for label, card in cards.items() if card is not None}
    sets = Counter(test_set for of_one in gains.values() for test_set in of_one)
    if not sets:
        raise UsageError("No model's card says how good it is.", hint="Write `quality` into a card.")
    [(test_set, _)] = sets.most_common(1)
    points = [
        Point(label=label, scale=card.scale, cost=card.relative_cost, gain_db=gains[label][test_set])
        for label, card in cards.items()
        if card is not None and test_set in gains[label]
    ]
    with writing(path):
        path.write_text(_svg(points, test_set), encoding="utf-8")
    drawn = {one.label for one in points}
    return points, [label for label in cards if label not in drawn]


def _cards(settings: Settings) -> dict[str, ModelCard | None]:
    """Every version with its card; None for one that is not valid."""
    registry = Registry.of(settings)
    found: dict[str, ModelCard | None] = {}
    for name in registry.names():
        for version in registry.versions(name):
            try:
                found[f"{name}@{version}"] = registry.get(f"{name}@{version}").card
            except SrError:
                found[f"{name}@{version}"] = None
    return found


def _gains(card: ModelCard) -> dict[str, float]:
    """By test set, of clean pictures made small by antialiased bicubic down-scaling."""
    return {
        one.test_set: one.gain_over_bicubic_db
        for one in card.quality
        if one.scale == card.scale and one.down_scaling == "bicubic" and not one.degradation
    }


def _svg(points: Sequence[Point], test_set: str) -> str:
    least, most = (
        math.log10(bound) for bound in (min(one.cost for one in points) / 1.5, max(one.cost for one in points) * 1.5)
    )
    low = min(0.0, *(one.gain_db for one in points))
    high = max(0.1, *(one.gain_db for one in points)) * 1.1

    def x(cost: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(cost) - least) / (most - least)

    def y(gain: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - gain) / (high - low)

    title = f"Y-PSNR gain over bicubic, dB: {escape(test_set)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" '
        f'font-size="12"><title>{title}</title><rect width="100%" height="100%" fill="white"/>'
        f'<text x="{LEFT}" y="22">{title}</text>',
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>',
    ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">seconds per source megapixel</text>')
    for tick in range(math.ceil(low), math.floor(high) + 1):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:+d}</text>')
    for cost in _ticks(least, most):
        parts.append(
            f'<text x="{x(cost):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{cost:g}</text>'
            f'<path d="M{x(cost):.1f} {HEIGHT - BOTTOM}v4" stroke="#444"/>'
        )
    below = -math.inf
    for one in sorted(points, key=lambda point: -point.gain_db):
        colour = COLOURS.get(one.scale, "#444444")
        at_x, at_y = x(one.cost), y(one.gain_db)
        below = max(at_y + 4, below + 13)  # labels stand under each other where points lie close
        parts.append(
            f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="5" fill="{colour}"/>'
            f'<path d="M{at_x:.1f} {at_y:.1f}L{WIDTH - RIGHT + 6} {below - 4:.1f}" stroke="{colour}" opacity="0.25"/>'
            f'<text x="{WIDTH - RIGHT + 10}" y="{below:.1f}" fill="{colour}">{escape(one.label)} '
            f"{one.gain_db:+.2f}</text>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _ticks(least: float, most: float) -> list[float]:
    """1, 2 and 5 times powers of ten within the span of logarithms."""
    steps = (digit * 10.0**power for power in range(math.floor(least), math.ceil(most) + 1) for digit in (1, 2, 5))
    return [step for step in steps if least <= math.log10(step) <= most]
