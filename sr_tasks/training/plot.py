"""The course of a training run as an SVG picture. Reads its log, knows nothing of networks."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 640
HEIGHT: Final = 360
LEFT: Final = 56
RIGHT: Final = 96
TOP: Final = 32
BOTTOM: Final = 44


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A column of the log, how it is called in the plot and its colour."""

    column: str
    label: str
    colour: str


CURVES: Final = (
    Curve(column="gain_bicubic_db", label="bicubic", colour="#1b6ca8"),
    Curve(column="gain_area_db", label="area", colour="#2e8b57"),
    Curve(column="gain_blurred_db", label="blurred", colour="#8a5fb0"),
    Curve(column="gain_aliased_db", label="aliased", colour="#c8553d"),
)
RESTORING: Final = (Curve(column="gain_degraded_db", label="degraded", colour="#1b6ca8"),)
"""Of networks that leave the size as it is."""

TITLE: Final = "Y-PSNR gain over bicubic on held-out synthetic images, dB, by training step"


def write_plot(log: Path, path: Path, *, curves: Sequence[Curve] = CURVES, title: str = TITLE) -> Path:
    """Draw `curves` of the training log `log`, in dB over its steps, into the SVG file `path`, and return it."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    gains = {curve.column: [float(row[curve.column]) for row in rows] for curve in curves}
    every = [gain for curve in gains.values() for gain in curve]
    low, high = min(0.0, *every), max(0.1, *every)

    def x(step: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / steps[-1]

    def y(gain: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - gain) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="18">{escape(title)}</text>',
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 18}" text-anchor="end">{steps[-1]}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - BOTTOM + 18}">0</text>',
    ]
    for tick in range(int(low) - 1, int(high) + 1):
        if low <= tick <= high:
            parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:+d}</text>')
    for curve in curves:
        values = gains[curve.column]
        points = " ".join(f"{x(step):.1f},{y(gain):.1f}" for step, gain in zip(steps, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{curve.colour}" stroke-width="2"/>')
        end = f'x="{WIDTH - RIGHT + 6}" y="{y(values[-1]) + 4:.1f}" fill="{curve.colour}"'
        parts.append(f"<text {end}>{curve.label} {values[-1]:+.2f}</text>")
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
    return path
