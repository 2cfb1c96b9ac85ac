"""Running tallies of an assessment: worst values, means, plots, time stamps. Bounded in size, whatever the length."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from sr_tasks.quality.cells import Located
from sr_tasks.quality.colors import ColorFigures
from sr_tasks.quality.figures import FrameFigures
from sr_tasks.quality.seams import Seam
from sr_tasks.records.assessment import Extreme, Occurrence, Occurrences, Series, Timing

SERIES_POINTS = 2000
FIRST_OCCURRENCES = 20

_PLANES: tuple[Literal["Y", "U", "V"], ...] = ("Y", "U", "V")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A frame: its number from 0, and seconds from the first one."""

    frame: int
    time_s: float


@dataclass(kw_only=True)
class Worst:
    """Keeps the extreme that is furthest from good: lowest if `lowest`, else largest in size."""

    lowest: bool = False
    found: Extreme | None = None

    def offer(self, place: Place, at: Located | Seam, plane: Literal["", "Y", "U", "V"] = "") -> None:
        if self.found is not None:
            better = at.value >= self.found.value if self.lowest else abs(at.value) <= abs(self.found.value)
            if better:
                return
        self.found = Extreme(value=at.value, frame=place.frame, time_s=place.time_s, x=at.x, y=at.y, plane=plane)

    def result(self) -> Extreme:
        return self.found or Extreme(value=0.0, frame=0, time_s=0.0)


@dataclass(kw_only=True)
class Mean:
    """A running mean."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count if self.count else 0.0


@dataclass(kw_only=True)
class _Point:
    """The worst figures of a span of frames; a figure taken of none of them stays None."""

    time_s: float
    psnr: float
    block_psnr: float
    ssim: float | None = None
    pixel_shift: float | None = None

    def add(self, figures: FrameFigures) -> None:
        self.psnr = min(self.psnr, figures.psnr)
        self.block_psnr = min(self.block_psnr, figures.block_psnr.value)
        if figures.ssim is not None:
            self.ssim = figures.ssim if self.ssim is None else min(self.ssim, figures.ssim)
        if figures.geometry is not None:
            self.pixel_shift = max(self.pixel_shift or 0.0, figures.geometry.pixel_shift)


class Summary:
    """Means, worst values and plots, from the figures of one frame after the other."""

    def __init__(self, expected_frames: int) -> None:
        self._step = max(1, -(-expected_frames // SERIES_POINTS))
        self._points: list[_Point] = []
        self.psnr, self.kept_psnr, self.ssim = Mean(), Mean(), Mean()
        self.psnr_worst, self.kept_psnr_worst = Worst(lowest=True), Worst(lowest=True)
        self.ssim_worst = Worst(lowest=True)
        self.block_psnr_worst = Worst(lowest=True)
        self.block_shift_worst, self.plane_shift_worst = Worst(), Worst()
        self.color_error_worst, self.pixel_shift_worst, self.seam_worst = Worst(), Worst(), Worst()

    def add(self, place: Place, figures: FrameFigures) -> None:
        self.psnr.add(figures.psnr)
        self.kept_psnr.add(figures.kept_psnr)
        self.psnr_worst.offer(place, _nowhere(figures.psnr))
        self.kept_psnr_worst.offer(place, _nowhere(figures.kept_psnr))
        if figures.ssim is not None:
            self.ssim.add(figures.ssim)
            self.ssim_worst.offer(place, _nowhere(figures.ssim))
        self.block_psnr_worst.offer(place, figures.block_psnr)
        self.block_shift_worst.offer(place, figures.block_shift, "Y")
        if figures.color is not None:
            self._add_color(place, figures.color)
        if figures.geometry is not None:
            self.pixel_shift_worst.offer(place, _nowhere(figures.geometry.pixel_shift))
            self.seam_worst.offer(place, figures.geometry.seam)
        self._plot(place, figures)

    def _add_color(self, place: Place, color: ColorFigures) -> None:
        for name, shift in zip(_PLANES, color.plane_shifts, strict=False):
            self.plane_shift_worst.offer(place, _nowhere(shift), name)
        for name, located in zip(_PLANES[1:], color.chroma_block_shifts, strict=False):
            self.block_shift_worst.offer(place, located, name)
        self.color_error_worst.offer(place, _nowhere(color.color_error))

    def _plot(self, place: Place, figures: FrameFigures) -> None:
        if place.frame // self._step >= len(self._points) and len(self._points) < SERIES_POINTS:
            self._points.append(_Point(time_s=place.time_s, psnr=figures.psnr, block_psnr=figures.block_psnr.value))
        self._points[-1].add(figures)

    def figures(self) -> dict[str, Any]:
        """The fields of an `Assessment` that come from here."""
        return {
            "psnr_mean": self.psnr.value,
            "psnr_worst": self.psnr_worst.result(),
            "kept_psnr_mean": self.kept_psnr.value,
            "kept_psnr_worst": self.kept_psnr_worst.result(),
            "ssim_mean": self.ssim.value,
            "ssim_worst": self.ssim_worst.result(),
            "block_psnr_worst": self.block_psnr_worst.result(),
            "block_shift_worst": self.block_shift_worst.result(),
            "plane_shift_worst": self.plane_shift_worst.result(),
            "color_error_worst": self.color_error_worst.result(),
            "pixel_shift_worst": self.pixel_shift_worst.result(),
            "seam_worst": self.seam_worst.result(),
            "series": self.series(),
        }

    def series(self) -> Series:
        def column(name: str, digits: int) -> tuple[float | None, ...]:
            values = (getattr(point, name) for point in self._points)
            return tuple(None if value is None else round(float(value), digits) for value in values)

        return Series(
            frames_per_point=self._step,
            time_s=tuple(round(point.time_s, 3) for point in self._points),
            psnr=column("psnr", 2),
            ssim=column("ssim", 5),
            block_psnr=column("block_psnr", 2),
            pixel_shift=column("pixel_shift", 4),
        )


def _nowhere(value: float) -> Located:
    return Located(value=value, x=-1, y=-1)


@dataclass(kw_only=True)
class Sightings:
    """Counts something and keeps its first places."""

    count: int = 0
    first: list[Occurrence] = field(default_factory=list)

    def add(self, place: Place, detail: str = "") -> None:
        self.count += 1
        if len(self.first) < FIRST_OCCURRENCES:
            self.first.append(Occurrence(frame=place.frame, time_s=place.time_s, detail=detail))

    def result(self) -> Occurrences:
        return Occurrences(count=self.count, first=tuple(self.first))


class Stamps:
    """Compares time stamps in exact arithmetic."""

    def __init__(self, source_tick: Fraction, output_tick: Fraction) -> None:
        self._source_tick, self._output_tick = source_tick, output_tick
        self._first_pts = 0
        self._offset: Fraction | None = None
        self._deviation = Fraction(0)
        self._frame = -1

    def place(self, frame: int, source_pts: int, output_pts: int) -> Place:
        """Take note of the time stamps of the next pair and say where it is."""
        offset = output_pts * self._output_tick - source_pts * self._source_tick
        if self._offset is None:
            self._offset, self._first_pts = offset, source_pts
        if abs(offset - self._offset) > self._deviation:
            self._deviation, self._frame = abs(offset - self._offset), frame
        time_s = float((source_pts - self._first_pts) * self._source_tick)
        return Place(frame=frame, time_s=round(time_s, 6))

    def result(self) -> Timing:
        return Timing(
            offset_s=str(self._offset or Fraction(0)), deviation_s=str(self._deviation), deviation_frame=self._frame
        )
