"""The report page: one self-contained HTML file that says what was done and how good it is. Reads its template only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from sr_tasks.quality.plots import Plot, draw
from sr_tasks.records.assessment import Assessment, Decision, Extreme, IntegrityReport, PicturePair, Verdict
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.telemetry.durations import in_words

_TEMPLATE = Path(__file__).with_name("report.html")
_STYLE = Path(__file__).with_name("report.css")
_HEADLINES = {
    Decision.PASSED: "Passed",
    Decision.NEEDS_REVIEW: "Needs review",
    Decision.FAILED: "Failed",
}


_OF_MANY = ("Mean PSNR", "Misplaced frames", "Frozen frames", "Black frames")
_FIGURES_OF_ONE = {"Worst frame PSNR": "PSNR", "Worst frame SSIM": "SSIM"}


class ReportData(BaseModel):
    """Everything the page shows. Texts may hold anything: the page escapes them."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    created: str
    source_name: str
    output_name: str
    source_info: MediaInfo
    output_info: MediaInfo
    model: str
    model_version: str
    device: str
    settings: Mapping[str, str]
    """What was asked for, label to value, in order."""
    streams: Sequence[StreamPlan]
    assessment: Assessment
    integrity: IntegrityReport
    limits: GateLimits
    verdict: Verdict
    decision: str = ""
    """What a person decided, who and when; empty while nobody has."""
    is_gate_on: bool = True
    """Off: delivered whatever the verdict says, which the page then states."""
    timings_s: Mapping[str, float]
    """Seconds by phase, in order."""
    software: Mapping[str, str]
    """Versions by name."""
    pictures: Sequence[PicturePair]

    @property
    def is_still(self) -> bool:
        """Whether the source is a still picture: then nothing is said of frames and of time."""
        return self.source_info.still is not None


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A figure against its limit."""

    figure: str
    meaning: str
    measured: str
    limit: str
    where: str
    is_ok: bool


def render(data: ReportData) -> str:
    """The page. It loads nothing from outside and works in light and dark, on screen, on paper, for screen readers."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["duration"] = in_words
    environment.filters["size"] = size
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        data=data,
        style=style(),
        headline=_HEADLINES[data.verdict.decision],
        lead=_lead(data),
        rows=_of_one(_rows(data.assessment, data.limits)) if data.is_still else _rows(data.assessment, data.limits),
        plots=[draw(plot) for plot in _plots(data.assessment, data.limits)],
        total_s=sum(data.timings_s.values()),
    )


def style() -> Markup:
    """The style sheet that all report pages share, so that they look alike."""
    return Markup(_STYLE.read_text(encoding="utf-8").rstrip())


def _lead(data: ReportData) -> str:
    before, after = data.source_info.video, data.output_info.video
    became = f"{before.width}x{before.height} became {after.width}x{after.height} ({data.assessment.scale}x)"
    model = f"{data.model} {data.model_version}"
    if data.is_still:
        return f"A still picture of {became} with {model}."
    frames = data.assessment.decode.output_frames
    return f"{became} with {model}: {frames} frames, {in_words(after.duration_s)}."


def _of_one(rows: Sequence[_Row]) -> list[_Row]:
    """The rows that mean something for a still picture, without the frame they were found in."""
    return [
        replace(row, figure=_FIGURES_OF_ONE.get(row.figure, row.figure), where="")
        for row in rows
        if row.figure not in _OF_MANY
    ]


def _rows(a: Assessment, limits: GateLimits) -> list[_Row]:
    kept = a.psnr_mean if a.kept_psnr_mean is None else a.kept_psnr_mean
    mean = Extreme(value=kept, frame=-1, time_s=0.0)
    return [
        _lowest("Mean PSNR", "closeness to the source, all frames", mean, limits.global_psnr_min, " dB", 1),
        _lowest(
            "Worst frame PSNR",
            "closeness to the source, worst frame",
            a.kept_psnr_worst or a.psnr_worst,
            limits.frame_psnr_min,
            " dB",
            1,
        ),
        _lowest(
            "Worst block PSNR", "closeness of the worst 32x32 px", a.block_psnr_worst, limits.block_psnr_min, " dB", 1
        ),
        _lowest("Worst frame SSIM", "likeness of structure, 1 is the same", a.ssim_worst, limits.ssim_min, "", 4),
        _largest("Displacement", "picture moved", a.pixel_shift_worst, limits.pixel_shift_max, " px"),
        _largest(
            "Brightness or colour shift", "picture as a whole", a.plane_shift_worst, limits.plane_shift_max, " codes"
        ),
        _largest(
            "Block shift", "brightness or colour of one block", a.block_shift_worst, limits.block_shift_max, " codes"
        ),
        _largest("Colour mix", "wrong matrix or range", a.color_error_worst, limits.color_error_max, " codes"),
        _largest("Seam", "a line across the picture", a.seam_worst, limits.seam_max, " codes"),
        *(
            _Row(
                figure=name,
                meaning=meaning,
                measured=str(found.count),
                limit=f"at most {limits.wrong_frames_max}",
                where=", ".join(f"frame {o.frame}" for o in found.first[:3]),
                is_ok=found.count <= limits.wrong_frames_max,
            )
            for name, meaning, found in (
                ("Misplaced frames", "a neighbour's picture", a.misplaced),
                ("Frozen frames", "standing still while the source moves", a.frozen),
                ("Black frames", "black while the source is not", a.black),
            )
        ),
    ]


def _lowest(figure: str, meaning: str, found: Extreme, limit: float, unit: str, digits: int) -> _Row:
    return _Row(
        figure=figure,
        meaning=meaning,
        measured=f"{found.value:.{digits}f}{unit}",
        limit=f"at least {limit:g}{unit}",
        where=_where(found),
        is_ok=found.value >= limit,
    )


def _largest(figure: str, meaning: str, found: Extreme, limit: float, unit: str) -> _Row:
    return _Row(
        figure=figure,
        meaning=meaning,
        measured=f"{abs(found.value):.2f}{unit}",
        limit=f"at most {limit:g}{unit}",
        where=_where(found),
        is_ok=abs(found.value) <= limit,
    )


def _where(found: Extreme) -> str:
    if found.frame < 0:
        return ""
    plane = f", plane {found.plane}" if found.plane else ""
    return f"frame {found.frame}, {in_words(found.time_s)}{plane}"


def _plots(a: Assessment, limits: GateLimits) -> list[Plot]:
    time_s = a.series.time_s
    return [
        Plot(title="PSNR", unit="dB", time_s=time_s, values=a.series.psnr, limit=limits.frame_psnr_min),
        Plot(title="PSNR of the worst block", unit="dB", time_s=time_s, values=a.series.block_psnr,
             limit=limits.block_psnr_min),
        Plot(title="SSIM", unit="", time_s=time_s, values=a.series.ssim, limit=limits.ssim_min, digits=3),
        Plot(title="Displacement", unit="px", time_s=time_s, values=a.series.pixel_shift, limit=limits.pixel_shift_max,
             is_lower_limit=False, digits=3),
    ]  # fmt: skip


def size(count: int) -> str:
    """A number of bytes for readers: `2.8 MB`."""
    power = min(4, int(math.log(count, 1000))) if count > 0 else 0
    return f"{count} bytes" if power == 0 else f"{count / 1000**power:.1f} {('', 'kB', 'MB', 'GB', 'TB')[power]}"
