"""Plots over time as inline SVG. Pure: numbers in, markup out; colours come from the page's style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sr_tasks.telemetry.durations import on_a_clock

_WIDTH, _HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 36
_TICKS = 4


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One curve and the limit it must keep."""

    title: str
    unit: str
    time_s: Sequence[float]
    values: Sequence[float | None]
    limit: float
    is_lower_limit: bool = True
    """True if values must not fall below the limit, False if they must not rise above it."""
    digits: int = 1


def draw(plot: Plot) -> Markup:
    """An SVG with a title and a description for screen readers."""
    points = [(t, v) for t, v in zip(plot.time_s, plot.values, strict=True) if v is not None]
    if not points:
        return Markup("<p>No figures were taken.</p>")
    end = max(t for t, _ in points) or 1.0
    low, high = _span([v for _, v in points], plot.limit)

    def across(t: float) -> float:
        return _LEFT + t / end * (_WIDTH - _LEFT - _RIGHT)

    def down(v: float) -> float:
        return _TOP + (high - v) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    bound = down(plot.limit)
    path = " ".join(f"{across(t):.1f},{down(v):.1f}" for t, v in points)
    curve = f'<polyline class="curve" points="{path}"/>'
    if len(points) == 1:
        curve = f'<circle class="dot" cx="{across(points[0][0]):.1f}" cy="{down(points[0][1]):.1f}" r="3"/>'
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(_describe(plot, points))}">'
        f"<title>{escape(plot.title)}</title>"
        f"{_value_ticks(low, high, down)}{_time_ticks(end, across)}"
        f'<line class="limit" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bound:.1f}" y2="{bound:.1f}"/>{curve}'
        f'<text class="limit-label" x="{_WIDTH - _RIGHT}" y="{_limit_label(bound):.1f}" text-anchor="end">'
        f"limit {plot.limit:g} {escape(plot.unit)}</text></svg>"
    )


def _span(values: Sequence[float], limit: float) -> tuple[float, float]:
    """From somewhat below the lowest to somewhat above the highest of values and limit."""
    low, high = min([*values, limit]), max([*values, limit])
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _describe(plot: Plot, points: Sequence[tuple[float, float]]) -> str:
    values = [v for _, v in points]
    bound = "at least" if plot.is_lower_limit else "at most"
    unit = f" {plot.unit}" if plot.unit else ""
    return (
        f"{plot.title} over {points[-1][0]:.1f} s: from {min(values):.{plot.digits}f} to "
        f"{max(values):.{plot.digits}f}{unit}; {bound} {plot.limit:g}{unit} is wanted."
    )


def _limit_label(y: float) -> float:
    return y - 6 if y > _TOP + 20 else y + 18


def _value_ticks(low: float, high: float, down: Callable[[float], float]) -> str:
    """Grid lines at round values."""
    step = _round_step((high - low) / _TICKS)
    digits = max(0, -math.floor(math.log10(step)))
    parts = []
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        y = down(number * step)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{number * step:.{digits}f}</text>')
    return "".join(parts)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, ... (or a tenth, a hundredth, ... of it) that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((factor * power for factor in (1.0, 2.0, 5.0) if factor * power >= least), 10.0 * power)


def _time_ticks(end: float, across: Callable[[float], float]) -> str:
    parts = []
    for step in range(_TICKS + 1):
        t = end * step / _TICKS
        anchor = "start" if step == 0 else "end" if step == _TICKS else "middle"
        parts.append(f'<text x="{across(t):.1f}" y="{_HEIGHT - 10}" text-anchor="{anchor}">{_clock(t, end)}</text>')
    return "".join(parts)


def _clock(t: float, end: float) -> str:
    """Seconds with a decimal for short videos, else minutes or hours."""
    if end < 120:
        return f"{t:.1f} s"
    return on_a_clock(round(t), with_hours=end >= 3600)
