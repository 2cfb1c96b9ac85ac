"""What the steps of one job leave in its folder for each other, and for who shows the job.

One class a file: `source`, `plan`, `model`, `output`, `review`, `delivery`, `progress/<chunk>`, `timings/<task>`.
Data and what follows from it: loads neither a codec nor a runtime.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sr_tasks.records.cards import ModelCard
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.grain import Grain
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

    def variant(self, scale: int, card: ModelCard) -> GraphVariant:
        """The kind of graph that a model needs for the frames of this source."""
        return GraphVariant.of(self.media.video, scale, card, self.level)


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
    plain: PreparedModel | None = None
    """What the network's output is blended with; None for a strength of 1."""
    grain: Grain | None = None
    """What is added to the frames that come out; None for nothing."""
    fingerprint: str = ""
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
    poster: str = ""
    contact_sheet: str = ""
    """Empty where they were not asked for."""


class ChunkProgress(_Record):
    """Kept by `upscale` while a chunk is computed. Lost in a crash, which nobody minds."""

    done: int
    total: int
    """Frames."""
    fps: float
    """Lately; 0 if unknown."""
    updated: float
    """Seconds since 1970."""


class TaskTiming(_Record):
    """Left by each task that has ended."""

    seconds: float
