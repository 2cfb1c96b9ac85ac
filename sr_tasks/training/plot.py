"""The course of a training run as an SVG picture. Reads its log, knows nothing of networks."""

import csv
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 640
HEIGHT: Final = 360
LEFT: Final = 56
RIGHT: Final = 96
TOP: Final = 32
BOTTOM: Final = 44
CURVES: Final = (
    ("gain_bicubic_db", "bicubic", "#1b6ca8"),
    ("gain_area_db", "area", "#2e8b57"),
    ("gain_blurred_db", "blurred", "#8a5fb0"),
    ("gain_aliased_db", "aliased", "#c8553d"),
)
TITLE: Final = "Y-PSNR gain over bicubic on held-out synthetic images, dB, by training step"


def write_plot(log: Path, path: Path) -> Path:
    """Draw the gains in the training log `log` over its steps into the SVG file `path`, and return it."""
    with log.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    gains = {column: [float(row[column]) for row in rows] for column, _, _ in CURVES}
    every = [gain for curve in gains.values() for gain in curve]
    low, high = min(0.0, *every), max(0.1, *every)

    def x(step: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / steps[-1]

    def y(gain: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - gain) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/><text x="{LEFT}" y="18">{escape(TITLE)}</text>',
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#444"/>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - BOTTOM + 18}" text-anchor="end">{steps[-1]}</text>',
        f'<text x="{LEFT}" y="{HEIGHT - BOTTOM + 18}">0</text>',
    ]
    for tick in range(int(low) - 1, int(high) + 1):
        if low <= tick <= high:
            parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:+d}</text>')
    for column, label, colour in CURVES:
        points = " ".join(f"{x(step):.1f},{y(gain):.1f}" for step, gain in zip(steps, gains[column], strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        end = f'x="{WIDTH - RIGHT + 6}" y="{y(gains[column][-1]) + 4:.1f}" fill="{colour}"'
        parts.append(f"<text {end}>{label} {gains[column][-1]:+.2f}</text>")
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
    return path
