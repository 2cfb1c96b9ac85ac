"""What a media file is: plain facts read by the probe. Opens nothing."""

from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

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
