"""Holds a candidate's figures on the golden set against production's, or against bicubic if there is none. Pure."""

from collections.abc import Callable, Iterator
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from sr_tasks.release.golden.degrade import CLASSES
from sr_tasks.release.golden.items import GoldenScores, ItemScore
from sr_tasks.release.policy import GoldenMargins

_CLEAN = frozenset(degradation.name for degradation in CLASSES if degradation.is_clean)
_STYLE = "A style is not held against the truth: look at the pictures."
_STILL_FLICKER = 0.05
"""Codes. Where bicubic flickers less than this on the whole of a class, ratios mean nothing."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassFigures(_Record):
    """Means over the scenes of one degradation. dB; flicker as a multiple of bicubic's."""

    psnr: float
    gain: float
    """PSNR over bicubic's."""
    ssim: float
    gmsd: float
    chroma_psnr: float
    flicker: float | None
    lpips: float | None


class ClassComparison(_Record):
    """One degradation at one scale: the candidate beside production."""

    scale: int
    degradation: str
    title: str
    candidate: ClassFigures
    production: ClassFigures | None
    worst_scene: str
    """Where the candidate stays furthest behind production, or gains least over bicubic if there is none."""
    worst_difference: float


class Comparison(_Record):
    """What speaks against a candidate, with all figures."""

    candidate: str
    production: str | None
    accepted: bool
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[ClassComparison, ...]
    mean_difference_db: float | None
    """Over all classes and scales, of luma PSNR; None without production."""
    not_measured: tuple[str, ...]


def compare(
    candidate: tuple[str, list[GoldenScores]],
    production: tuple[str, list[GoldenScores]] | None,
    margins: GoldenMargins,
    *,
    is_stylised: bool = False,
) -> Comparison:
    """Of both the label and the scores at every scale. A candidate must do every scale that production does. A style is
    not meant to give the truth back, so its figures speak neither for nor against it."""
    label, scores = candidate
    others = {one.scale: one for one in production[1]} if production else {}
    rows = [row for one in scores for row in _rows(one, others.get(one.scale))]
    reasons = [] if is_stylised else list(_broken(rows, margins))
    for scale in sorted(set(others) - {one.scale for one in scores}):
        reasons.append(f"It cannot enlarge {scale} times, and {production[0] if production else ''} can.")
    paired = [row.candidate.psnr - row.production.psnr for row in rows if row.production]
    mean = fmean(paired) if paired else None
    if not is_stylised and mean is not None and mean < -margins.mean_loss_db:
        reasons.append(
            f"Over all degradations it gives {mean:+.3f} dB against production; a loss of {margins.mean_loss_db:g} dB "
            "is allowed."
        )
    for row in rows if not is_stylised else ():
        reasons += _class_reasons(row, margins)
    return Comparison(
        candidate=label,
        production=production[0] if production else None,
        accepted=not reasons,
        reasons=tuple(reasons),
        notes=(_STYLE,) if is_stylised else tuple(_notes(rows)),
        rows=tuple(rows),
        mean_difference_db=None if mean is None else round(mean, 4),
        not_measured=tuple(dict.fromkeys(text for one in scores for text in one.not_measured)),
    )


def _rows(scores: GoldenScores, other: GoldenScores | None) -> Iterator[ClassComparison]:
    titles = {degradation.name: degradation.title for degradation in CLASSES}
    for degradation in scores.degradations:
        items, others = scores.of(degradation), other.of(degradation) if other else ()
        baseline = {item.scene: item.psnr for item in others} or {item.scene: item.bicubic_psnr for item in items}
        differences = {item.scene: item.psnr - baseline[item.scene] for item in items if item.scene in baseline}
        worst = min(differences, key=differences.__getitem__)
        yield ClassComparison(
            scale=scores.scale,
            degradation=degradation,
            title=titles.get(degradation, degradation),
            candidate=_figures(items),
            production=_figures(others) if others else None,
            worst_scene=worst,
            worst_difference=round(differences[worst], 4),
        )


def _figures(items: tuple[ItemScore, ...]) -> ClassFigures:
    def mean(of: Callable[[ItemScore], float]) -> float:
        return round(fmean(of(item) for item in items), 5)

    flickers = [(item.flicker, item.bicubic_flicker) for item in items if item.flicker is not None]
    bicubic = sum(other or 0.0 for _, other in flickers)
    lpips = [item.lpips for item in items if item.lpips is not None]
    is_moving = flickers and bicubic / len(flickers) > _STILL_FLICKER
    return ClassFigures(
        psnr=mean(lambda item: item.psnr),
        gain=mean(lambda item: item.psnr - item.bicubic_psnr),
        ssim=mean(lambda item: item.ssim),
        gmsd=mean(lambda item: item.gmsd),
        chroma_psnr=mean(lambda item: item.chroma_psnr),
        flicker=round(sum(own for own, _ in flickers) / bicubic, 4) if is_moving else None,
        lpips=round(fmean(lpips), 5) if lpips else None,
    )


def _broken(rows: list[ClassComparison], margins: GoldenMargins) -> Iterator[str]:
    """What no production is needed to see."""
    for row in rows:
        if row.degradation in _CLEAN and row.candidate.gain < -margins.broken_db:
            yield (
                f"{row.title}, scale {row.scale}: {-row.candidate.gain:.1f} dB below bicubic. Its colours, range or "
                "scale are not what its card says."
            )


def _class_reasons(row: ClassComparison, margins: GoldenMargins) -> Iterator[str]:
    if row.production is None:
        return
    own, other = row.candidate, row.production
    where = f"{row.title}, scale {row.scale}"
    for name, loss, allowed, unit in (
        ("luma PSNR", other.psnr - own.psnr, margins.class_loss_db, " dB"),
        ("SSIM", other.ssim - own.ssim, margins.class_ssim_loss, ""),
        ("edge error (GMSD)", own.gmsd - other.gmsd, margins.class_gmsd_rise, ""),
        ("chroma PSNR", other.chroma_psnr - own.chroma_psnr, margins.class_chroma_loss_db, " dB"),
        ("flicker beside bicubic's", (own.flicker or 0.0) - (other.flicker or 0.0), margins.class_flicker_rise, ""),
        ("LPIPS", (own.lpips or 0.0) - (other.lpips or 0.0), margins.class_lpips_rise, ""),
    ):
        if loss > allowed:
            yield f"{where}: {name} is worse than production's by {loss:.4g}{unit}; {allowed:g}{unit} is allowed."
    if -row.worst_difference > margins.scene_loss_db:
        yield (
            f"{where}, scene {row.worst_scene}: {-row.worst_difference:.2f} dB below production; "
            f"{margins.scene_loss_db:g} dB is allowed."
        )


def _notes(rows: list[ClassComparison]) -> Iterator[str]:
    if rows and rows[0].production is None:
        yield "There is no other production version to compare with; figures are beside bicubic."
    for row in rows:
        if row.candidate.gain < 0:
            yield f"{row.title}, scale {row.scale}: {-row.candidate.gain:.2f} dB below bicubic."
        if row.candidate.flicker is not None and row.candidate.flicker > 1.05:
            yield f"{row.title}, scale {row.scale}: {row.candidate.flicker:.2f} times bicubic's flicker."
