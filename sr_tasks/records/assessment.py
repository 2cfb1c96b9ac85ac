"""What an assessment finds, as records for the job folder and the manifest. Holds no arrays and measures nothing."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, RootModel


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Extreme(_Record):
    """The worst value of a figure over all frames and where it was found."""

    value: float
    frame: int
    """Counted from 0 in order of presentation."""
    time_s: float
    """From the first frame of the source."""
    x: int = -1
    y: int = -1
    """Source px of the top left corner of a block, or of a line; -1 where it does not apply."""
    plane: Literal["", "Y", "U", "V"] = ""


class Occurrence(_Record):
    """A frame that something was found in."""

    frame: int
    time_s: float
    detail: str = ""


class Occurrences(_Record):
    """How often something was found, with the first few places."""

    count: int
    first: tuple[Occurrence, ...]


class Series(_Record):
    """Figures over time: the worst value in each of at most 2000 equal spans of frames, None where none was taken."""

    frames_per_point: int
    time_s: tuple[float, ...]
    psnr: tuple[float | None, ...]
    ssim: tuple[float | None, ...]
    block_psnr: tuple[float | None, ...]
    pixel_shift: tuple[float | None, ...]


class DecodeFacts(_Record):
    """How the one decode of both files to their ends went."""

    source_frames: int
    """Damaged ones included, which repeat the frame before."""
    output_frames: int
    damaged_frames: int
    output_corrupt_frames: int
    output_errors: int
    output_error_texts: tuple[str, ...]


class Timing(_Record):
    """Time stamps of the n-th output frame against the n-th source frame, exact."""

    offset_s: str
    """Of the first frame, output minus source, as a fraction of seconds such as `1/1000`."""
    deviation_s: str
    """Largest distance from that offset, as a fraction of seconds."""
    deviation_frame: int
    """Where that is; -1 if there is none."""


class Assessment(_Record):
    """An output against its source: PSNR in dB, shifts in codes on an 8-bit scale, at the source's size."""

    scale: int | float
    is_still: bool = False
    """Of a still picture: there is neither time nor order."""
    frames: int
    """Pairs compared."""
    psnr_mean: float
    psnr_worst: Extreme
    kept_psnr_mean: float | None = None
    """Without what is but a softening of the finest detail, which no antialiased enlargement keeps; that is what the
    gate's limits are for. None in records of before this was taken."""
    kept_psnr_worst: Extreme | None = None
    ssim_mean: float
    """Over the frames it is taken of."""
    ssim_worst: Extreme
    block_psnr_worst: Extreme
    """Likewise."""
    block_shift_worst: Extreme
    plane_shift_worst: Extreme
    color_error_worst: Extreme
    pixel_shift_worst: Extreme
    seam_worst: Extreme
    misplaced: Occurrences
    """Frames that match a neighbouring source frame better than their own."""
    frozen: Occurrences
    """Frames that repeat the one before although the source moves."""
    black: Occurrences
    """Black frames where the source is not black."""
    decode: DecodeFacts
    timing: Timing
    series: Series


class Finding(_Record):
    """One row of the integrity table."""

    check: str
    ok: bool
    detail: str


class IntegrityReport(_Record):
    """Whether the output holds exactly what the source holds, beside the enlarged picture."""

    ok: bool
    findings: tuple[Finding, ...]


class Decision(StrEnum):
    """`needs_review` is for a person to decide: nothing is broken, but a figure is near its limit."""

    PASSED = "passed"
    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"


class Verdict(_Record):
    """What the gate says, with a sentence for everything that speaks against the output."""

    decision: Decision
    reasons: tuple[str, ...]
    hint: str = ""


class PicturePair(_Record):
    """One region of one frame. Images are data URIs, turned as a player turns them; the size is the output's."""

    reason: Literal["detailed", "worst"]
    frame: int
    time_s: float
    x: int
    y: int
    """Source px of the top left corner, before turning."""
    width: int
    height: int
    source: str
    """The source's own px, to be shown enlarged without smoothing."""
    bicubic: str
    """The source enlarged by bicubic interpolation."""
    output: str


class Pictures(RootModel[tuple[PicturePair, ...]]):
    """All pairs of a report, in its order."""
