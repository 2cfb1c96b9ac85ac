"""The release report: one self-contained HTML page about a candidate. Reads its template only."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np
from markupsafe import Markup, escape

from sr_tasks.quality.report import style
from sr_tasks.release.golden.compare import ClassComparison, Comparison
from sr_tasks.release.golden.scenes import Rgb

_TEMPLATE = Path(__file__).with_name("report.html")
CROP: int = 96
"""Side of the shown crops, in px of the truth."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """One place of one scene as each party has it: data URIs, all of one size."""

    title: str
    difference: str
    source: str
    candidate: str
    production: str | None
    truth: str


def sight(title: str, difference: str, source: Rgb, candidate: Rgb, production: Rgb | None, truth: Rgb) -> Sight:
    """Crops around where candidate and truth differ most. `source` is the smaller picture."""
    error = np.abs(candidate.astype(np.float32) - truth).mean(axis=2)
    if production is not None:
        error = np.abs(candidate.astype(np.float32) - production).mean(axis=2)
    sums = cv2.blur(error, (CROP, CROP), anchor=(0, 0))[: max(1, error.shape[0] - CROP), : error.shape[1] - CROP]
    y, x = (int(place) // 8 * 8 for place in np.unravel_index(int(np.argmax(sums)), sums.shape))
    scale = truth.shape[0] // source.shape[0]
    small = source[y // scale : (y + CROP) // scale, x // scale : (x + CROP) // scale]
    cut = (slice(y, y + CROP), slice(x, x + CROP))
    return Sight(
        title=title,
        difference=difference,
        source=_uri(np.asarray(cv2.resize(small, (CROP, CROP), interpolation=cv2.INTER_NEAREST), np.uint8)),
        candidate=_uri(candidate[cut]),
        production=None if production is None else _uri(production[cut]),
        truth=_uri(truth[cut]),
    )


def render(comparison: Comparison, sights: Sequence[Sight], *, created: str, facts: dict[str, str]) -> str:
    """The page; it loads nothing from outside. Texts may hold anything: the page escapes them."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    scales = dict.fromkeys(row.scale for row in comparison.rows)
    return template.render(
        c=comparison,
        style=style(),
        created=created,
        facts=facts,
        sights=sights,
        bars=[(scale, bars([row for row in comparison.rows if row.scale == scale])) for scale in scales],
    )


def bars(rows: Sequence[ClassComparison]) -> Markup:
    """Gains over bicubic by degradation, production's above the candidate's, as an SVG."""
    gains = [row.candidate.gain for row in rows] + [row.production.gain for row in rows if row.production]
    low, high = min(0.0, *gains), max(0.1, *gains)
    left, width, step = 300, 500, 40

    def across(gain: float) -> float:
        return left + (gain - low) / (high - low) * width

    parts = []
    for number, row in enumerate(rows):
        top = 10 + number * step
        middle = top + (20 if row.production else 28)
        parts.append(f'<text x="{left - 12}" y="{middle}" text-anchor="end">{escape(row.title)}</text>')
        both = [("candidate", row.candidate, top + 16)]
        if row.production:
            both.insert(0, ("production", row.production, top))
        for name, figures, y in both:
            start, end = sorted((across(0.0), across(figures.gain)))
            parts.append(
                f'<rect class="{name}" x="{start:.1f}" y="{y}" width="{max(1.0, end - start):.1f}" height="14"/>'
                f'<text x="{left + width + 8}" y="{y + 13}">{figures.gain:+.2f}</text>'
            )
    height = 14 + step * len(rows)
    zero = across(0.0)
    return Markup(
        f'<svg viewBox="0 0 880 {height}" role="img" aria-label="Gain over bicubic in dB by degradation">'
        f'<line class="grid" x1="{zero:.1f}" x2="{zero:.1f}" y1="4" y2="{height - 4}"/>{"".join(parts)}</svg>'
    )


def _uri(image: Rgb) -> str:
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
