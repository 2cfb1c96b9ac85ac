"""What the steps of one job leave for each other in the job folder. Data and what follows from it; no effects."""

from datetime import datetime
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.media import Chunk, HdrInfo, MediaInfo, StreamPlan
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.records.rehearsal import Rehearsal


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)


class SourceRecord(_Record):
    """Left by `validate`: what comes in and where the result goes."""

    uri: str
    output_uri: str
    suffix: str
    """Of the output, which decides its container."""
    local_path: str
    size_bytes: int
    identity: str
    media: MediaInfo
    display_matrix: tuple[int, ...] | None
    mastering_display_hex: str
    content_light_level_hex: str
    fates: tuple[StreamPlan, ...]
    model: str
    """`name@version`: a retry or resume keeps the version the job began with."""
    model_reason: str = ""
    """In a sentence, why this model and version: asked for, or what the routes say."""
    level: float = 0.0
    """What the model is told of the source, measured or asked for: root mean square error in 8-bit codes. 0 for a model
    that is told nothing."""
    degradation: Degradation | None = None
    """As measured; None if neither the choice of the model nor the model itself depends on it."""
    rehearsal: Rehearsal | None = None
    """What a few seconds of the source showed."""

    @property
    def hdr(self) -> HdrInfo:
        return HdrInfo(
            mastering_display=bytes.fromhex(self.mastering_display_hex),
            content_light_level=bytes.fromhex(self.content_light_level_hex),
        )


class PlanRecord(_Record):
    """Left by `plan`."""

    source_sha256: str
    chunks: tuple[Chunk, ...]
    streams: int
    """Inferences under way at once, one thread each."""
    encoder_threads: int


class ModelRecord(_Record):
    """Left by `prepare_model`."""

    prepared: PreparedModel
    tile_px: int = 0
    """Side of the tiles that frames are cut into, in source px; 0 for whole frames. All chunks are cut the same way."""
    cache_hit: bool
    fingerprint: str
    """Of everything that decides the bytes of the chunks; names their folder."""


class OutputRecord(_Record):
    """Left by `assemble`."""

    path: str
    size_bytes: int
    sha256: str
    damaged_pts: tuple[int, ...]
    upscale_s: float
    """Seconds of work of all chunks together."""


class ReviewRecord(_Record):
    """Left by `review`: who decided about a doubtful output."""

    decision: Literal["approved", "rejected"]
    by: str
    """The person's name; empty if nobody answered in time."""
    at: datetime
    note: str = ""

    def __str__(self) -> str:
        who = f"by {self.by}" if self.by else "because nobody answered in time"
        said = f": {self.note}" if self.note else ""
        return f"{self.decision.capitalize()} {who}, {self.at.isoformat(timespec='seconds')}{said}"


class DeliveryRecord(_Record):
    """Left by `deliver`, completed by `report`: URIs."""

    output: str
    manifest: str
    report: str


def encode_settings(spec: JobSpec, source: SourceRecord, plan: PlanRecord) -> EncodeSettings:
    video = source.media.video
    return EncodeSettings(
        codec=spec.codec,
        crf=spec.effective_crf,
        preset=spec.preset,
        threads=plan.encoder_threads,
        width=video.width * spec.scale,
        height=video.height * spec.scale,
        pix_fmt=video.pix_fmt,
        time_base=video.tick,
        average_rate=Fraction(video.average_rate),
        color_range=video.color_range,
        color_primaries=video.color_primaries,
        color_trc=video.color_trc,
        colorspace=video.colorspace,
        chroma_location=video.chroma_location,
        is_rgb=source.media.picture.is_rgb,
        sample_aspect_ratio=Fraction(video.sample_aspect_ratio.replace(":", "/")),
        hdr=source.hdr,
    )


def graph_variant(spec: JobSpec, source: SourceRecord, card: ModelCard) -> GraphVariant:
    return GraphVariant.of(source.media.video, spec.scale, card, source.level)
