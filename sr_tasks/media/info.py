"""What a media file is: plain facts read by the probe. Opens nothing."""

from fractions import Fraction
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Chroma = Literal["420", "422", "444", "gray"]


class VideoInfo(BaseModel):
    """The picture stream. Colour tags are FFmpeg's numbers (AVColorRange and its like), 2 or 0 if unspecified."""

    model_config = ConfigDict(frozen=True)

    index: int
    codec: str
    width: int
    height: int
    pix_fmt: str
    bit_depth: int
    chroma: Chroma
    color_range: int
    color_primaries: int
    color_trc: int
    colorspace: int
    chroma_location: int
    """AVChromaLocation: 0 unspecified (taken as left), 1 left, 2 centre, 3 top-left."""
    sample_aspect_ratio: str
    rotation: int
    """Degrees a player turns the picture, from the display matrix."""
    interlaced: bool
    time_base: str
    average_rate: str
    is_vfr: bool
    frames: int
    """Counted by demuxing."""
    start_pts: int
    end_pts: int
    """Time stamp right behind the last frame."""
    keyframes: int
    pts_sha256: str
    """Over the sorted time stamps as little-endian int64."""

    @property
    def tick(self) -> Fraction:
        """Seconds of one time-base unit."""
        return Fraction(self.time_base)

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - self.start_pts) * self.tick)


class StreamInfo(BaseModel):
    """Any stream: what the stream table of the report shows."""

    model_config = ConfigDict(frozen=True)

    index: int
    type: str
    codec: str
    language: str
    title: str
    disposition: int
    packets: int
    start_s: float | None
    """Time stamp of the first packet, in seconds."""


class MediaInfo(BaseModel):
    """A file: its picture stream and all streams."""

    model_config = ConfigDict(frozen=True)

    path: str
    format: str
    size_bytes: int
    duration_s: float
    video: VideoInfo
    streams: tuple[StreamInfo, ...]
    chapters: int
    metadata: dict[str, str]


CLEAN_LEVEL: Final = 1.0
"""Below it neither an eye nor a network that restores can make use of the difference."""

UNCERTAIN_LEVEL: Final = 0.5
TOLD_SHARE: Final = 0.6

DegradationKind = Literal["clean", "noise", "compression"]


class Degradation(BaseModel):
    """How far a source departs from what it was, as root mean square errors in 8-bit codes of luma."""

    model_config = ConfigDict(frozen=True)

    level: float = Field(ge=0)
    """Of everything: `noise` and `compression` added up as squares."""
    noise: float = Field(ge=0)
    compression: float = Field(ge=0)
    frames: int
    """How many frames were looked at."""

    @property
    def kind(self) -> DegradationKind:
        """`clean`, or what most of the error is."""
        if self.level < CLEAN_LEVEL:
            return "clean"
        return "noise" if self.noise > self.compression else "compression"

    @property
    def told(self) -> float:
        """What a model that knows levels is told: less than was measured. A level that is too high wipes detail away,
        and costs far more than one that is too low; both figures were found on pictures of texture."""
        return max(0.0, TOLD_SHARE * (self.level - UNCERTAIN_LEVEL))

    def at(self, level: float) -> "Degradation":
        """The same mix of errors, as strong as `level`."""
        if self.level == 0:
            return self.model_copy(update={"level": level, "compression": level})
        factor = level / self.level
        return self.model_copy(
            update={"level": level, "noise": self.noise * factor, "compression": self.compression * factor}
        )

    def __str__(self) -> str:
        return f"level {self.level:.1f} ({self.kind})"
