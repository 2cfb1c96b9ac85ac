"""JobSpec: the one request schema. Dag params, REST bodies and the command line are made from it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sr_tasks.errors import UsageError
from sr_tasks.records.codecs import CODECS, Codec, Preset, VideoCodec
from sr_tasks.records.layout import ANY, PixelWish
from sr_tasks.records.media import VideoInfo
from sr_tasks.records.purposes import PURPOSES, PurposeName
from sr_tasks.records.rate import BITRATE_PATTERN, SIZE_PATTERN, amount
from sr_tasks.records.restoration import Restoration, Strength
from sr_tasks.records.sizes import AUTO_SCALES, NAMED, Size, network_scale, output_size
from sr_tasks.records.sound import SOUND_PATTERN, SoundWish

AUTO: Final = "auto"
Content = Literal["any", "live", "animation", "screen"]
Fields = Literal["single", "double", "film", "refuse"]
Strip = Literal["nothing", "location", "device", "all"]
ReviewWish = Literal["auto", "always", "never"]
Priority = Literal["low", "normal", "high"]
ChromaWish = Literal["auto", "420", "422", "444"]

BETWEEN: Final = 3
"""The scale that a network need not have: it enlarges further, and the rest is resampled."""


_DEFAULT_CRFS = ", ".join(f"{row.crf} for {row.name}" for row in CODECS.values() if row.crf is not None)


class JobSpec(BaseModel):
    """One customer's request. Section and help text of a field are shown in Airflow's trigger form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(
        default="",
        title="Source",
        description="The video or picture to enhance: a path, `file://...` or `s3://bucket/key`.",
        max_length=4096,
        json_schema_extra={"section": "Files"},
    )
    output: str | None = Field(
        default=None,
        title="Output",
        description="Where to put the result; `{folder}`, `{stem}`, `{size}` and `{suffix}` stand for parts of the "
        "source's name. Empty: beside the source, with scale or size in the name, such as `_x2`.",
        max_length=4096,
        json_schema_extra={"section": "Files"},
    )
    overwrite: bool = Field(
        default=False,
        title="Replace an existing output",
        description="Off: a job whose output is there already is refused.",
        json_schema_extra={"section": "Files"},
    )
    scale: Literal[1, 2, 3, 4] = Field(
        default=2,
        title="Scale",
        description="How many times as wide and high the output is; 1 restores or stylises at the same size.",
        json_schema_extra={"section": "Enhancement"},
    )
    size: str | None = Field(
        default=None,
        title="Size",
        description=f"In place of a scale: {', '.join(NAMED)} or `WIDTHxHEIGHT`. The picture fits inside, its shape "
        "kept. Empty: as the scale says.",
        pattern=rf"^({'|'.join(NAMED)}|[1-9][0-9]{{1,4}}x[1-9][0-9]{{1,4}})$",
        json_schema_extra={"section": "Enhancement"},
    )
    model: str = Field(
        default=AUTO,
        title="Model",
        description="A model of the registry, as `name` or `name@version`. `auto`: as the routes say for this source.",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(@[a-z0-9][a-z0-9._-]{0,31})?$",
        json_schema_extra={"section": "Enhancement"},
    )
    restore: float | None = Field(
        default=None,
        title="Restoration",
        description="How strongly noise and compression are removed, as the error of the source in 8-bit codes (0: "
        "not at all). Empty: measured from the source.",
        ge=0,
        le=32,
        json_schema_extra={"section": "Enhancement"},
    )
    denoise: Strength = Field(
        default="off",
        title="Remove noise",
        description="How much of the noise that is measured goes: by a network that is told how much there is, else by "
        "FFmpeg's nlmeans.",
        json_schema_extra={"section": "Enhancement"},
    )
    deblock: Strength = Field(
        default="off",
        title="Remove compression artefacts",
        description="How much of what compression left goes: by a network that is told how much there is, else by "
        "FFmpeg's fftdnoiz.",
        json_schema_extra={"section": "Enhancement"},
    )
    deband: Strength = Field(
        default="off",
        title="Smooth bands",
        description="Steps in what should be an even gradient are smoothed, by FFmpeg's deband.",
        json_schema_extra={"section": "Enhancement"},
    )
    sharpen: Strength = Field(
        default="off",
        title="Sharpen",
        description="Makes a soft picture sharper, by FFmpeg's unsharp, luma alone.",
        json_schema_extra={"section": "Enhancement"},
    )
    content: Content = Field(
        default="any",
        title="Content",
        description="What the pictures are, for the routes.",
        json_schema_extra={"section": "Enhancement"},
    )
    fields: Fields = Field(
        default="single",
        title="Interlaced sources",
        description="single: deinterlaced to one frame a frame. double: to one frame a field, for smooth motion. film: "
        "telecine is undone where its pattern holds. refuse: an interlaced source is refused.",
        json_schema_extra={"section": "Source"},
    )
    fps: str | None = Field(
        default=None,
        title="Frame rate",
        description="Frames a second of a source without times, such as raw H.264: `25` or `30000/1001`. Empty: as the "
        "source says.",
        pattern=r"^[1-9][0-9]{0,6}(/[1-9][0-9]{0,5}|\.[0-9]{1,6})?$",
        json_schema_extra={"section": "Source"},
    )
    program: int | None = Field(
        default=None,
        title="Programme",
        description="Number of the programme to enhance in a file with several. Empty: the first.",
        ge=0,
        json_schema_extra={"section": "Source"},
    )
    strict: bool = Field(
        default=False,
        title="Refuse any loss",
        description="On: a source is refused if something in it would be dropped or converted.",
        json_schema_extra={"section": "Source"},
    )
    strip: Strip = Field(
        default="nothing",
        title="Remove metadata",
        description="What is left out of output and manifest. location: where it was recorded. device: with what, as "
        "well. all: all tags but those that players need.",
        json_schema_extra={"section": "Source"},
    )
    tenant: str | None = Field(
        default=None,
        title="Tenant",
        description="For whom the job is, for the routes.",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        json_schema_extra={"section": "Enhancement"},
    )
    purpose: PurposeName = Field(
        default="none",
        title="Purpose",
        description="Fills the fields that are at their default. "
        + " ".join(f"{row.name}: {row}." for row in PURPOSES.values())
        + " none: nothing is filled.",
        json_schema_extra={"section": "Encoding"},
    )
    codec: Codec = Field(
        default="h264",
        title="Video codec",
        description="h264 plays everywhere, hevc and av1 are smaller, vp9 is for .webm, prores is for editing (in "
        ".mov or .mkv), ffv1 is lossless (in .mkv).",
        json_schema_extra={"section": "Encoding"},
    )
    crf: int | None = Field(
        default=None,
        title="CRF",
        description=f"Quality of the encode: lower is better and larger. Empty: {_DEFAULT_CRFS}.",
        ge=0,
        le=max(row.max_crf for row in CODECS.values()),
        json_schema_extra={"section": "Encoding"},
    )
    preset: Preset = Field(
        default="veryfast",
        title="Preset",
        description="Speed of the encoder against size of the file.",
        json_schema_extra={"section": "Encoding"},
    )
    bitrate: str | None = Field(
        default=None,
        title="Bitrate",
        description="Bits a second of the picture on average, such as `8M` or `900k`, in place of a CRF.",
        pattern=BITRATE_PATTERN,
        json_schema_extra={"section": "Encoding"},
    )
    target_size: str | None = Field(
        default=None,
        title="Size of the file",
        description="Size of the whole output, sound included, such as `700MB` or `1.5GiB`, in place of a CRF.",
        pattern=SIZE_PATTERN,
        json_schema_extra={"section": "Encoding"},
    )
    bit_depth: int | None = Field(
        default=None,
        title="Bit depth",
        description="Bits of each sample of the output: 8 or 10; hevc and ffv1 have 12 too. Empty: the source's, as "
        "far as the codec holds it.",
        ge=8,
        le=16,
        json_schema_extra={"section": "Encoding"},
    )
    chroma: ChromaWish = Field(
        default="auto",
        title="Chroma",
        description="How fine the colours of the output are: 420 plays everywhere, 422 and 444 are for editing. prores "
        "is 422 HQ or 4444. auto: the source's, as far as the codec holds it.",
        json_schema_extra={"section": "Encoding"},
    )
    audio: str = Field(
        default="copy",
        title="Sound",
        description="copy: as it is, where the container holds it. Else `aac` or `opus`, with a bitrate for two "
        "channels if wanted: `aac 192k`. Tracks of other channels get as much for each. Loudness stays as it is.",
        pattern=SOUND_PATTERN,
        json_schema_extra={"section": "Encoding"},
    )
    gate: bool = Field(
        default=True,
        title="Quality gate",
        description="Off: the output is delivered even if its quality is doubtful. Integrity is always proved.",
        json_schema_extra={"section": "Quality"},
    )

    review: ReviewWish = Field(
        default="auto",
        title="Review by a person",
        description="auto: a doubtful output waits for somebody to approve it. always: so does a good one. never: a "
        "doubtful one is delivered too. What the gate refuses is refused in any case.",
        json_schema_extra={"section": "Quality"},
    )

    priority: Priority = Field(
        default="normal",
        title="Priority",
        description="high goes before normal jobs that came up to 4 hours earlier, low after those that came up to 12 "
        "hours later.",
        json_schema_extra={"section": "Scheduling"},
    )
    deadline_minutes: int | None = Field(
        default=None,
        title="Deadline",
        description="Minutes after its acceptance that the job has to be done in; a miss is told. Empty: as the "
        "deployment says for its priority.",
        ge=1,
        le=60 * 24 * 30,
        json_schema_extra={"section": "Scheduling"},
    )

    @model_validator(mode="before")
    @classmethod
    def _filled_for_purpose(cls, given: Any) -> Any:
        row = PURPOSES.get(str(given.get("purpose"))) if isinstance(given, Mapping) else None
        defaults = {name: field.default for name, field in cls.model_fields.items()}
        return row.filled(given, defaults) if row else given

    @model_validator(mode="after")
    def _level_is_said_once(self) -> Self:
        if self.restore is not None and self.restoration.removes_errors:
            raise ValueError("restore says a level and denoise or deblock a strength; leave one of them out")
        return self

    @model_validator(mode="after")
    def _codec_has_crf(self) -> Self:
        row = self.video_codec
        if row.crf is None and self.crf not in (None, 0):
            kind = "is lossless and" if row.is_lossless else "has a quality of its own and"
            raise ValueError(f"codec={row.name} {kind} takes no crf (crf={self.crf}); leave one of them out")
        if self.crf is not None and self.crf > row.max_crf:
            raise ValueError(f"crf={self.crf} is past what codec={row.name} takes; it takes 0 to {row.max_crf}")
        return self

    @model_validator(mode="after")
    def _rate_is_one(self) -> Self:
        asked = [name for name in ("crf", "bitrate", "target_size") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(f"{' and '.join(asked)} say the same thing; leave all but one of them out")
        if self.is_rated and self.video_codec.crf is None:
            kind = "is lossless" if self.video_codec.is_lossless else "has a quality of its own"
            raise ValueError(f"codec={self.codec} {kind} and takes no {asked[0]}; leave one of them out")
        return self

    @model_validator(mode="after")
    def _codec_has_pixels(self) -> Self:
        row, wish = self.video_codec, self.pixels
        layouts = row.layouts
        if any(wish.admits(layout) for layout in layouts):
            return self
        depths = sorted({layout.bit_depth for layout in layouts if wish.chroma in (None, layout.chroma)})
        if not depths:
            held = sorted({layout.chroma for layout in layouts} - {"gray"})
            raise ValueError(f"codec={row.name} has no chroma={self.chroma}; it has {', '.join(held)}")
        of = f" of chroma={self.chroma}" if wish.chroma else ""
        raise ValueError(
            f"codec={row.name}{of} has no bit_depth={self.bit_depth}; it has {', '.join(map(str, depths))}"
        )

    @property
    def pixels(self) -> PixelWish:
        """What is asked of the output's samples."""
        if self.bit_depth is None and self.chroma == "auto":
            return ANY
        return PixelWish(bit_depth=self.bit_depth, chroma=None if self.chroma == "auto" else self.chroma)

    def output_size(self, video: VideoInfo) -> Size:
        """Width and height in px of the output's coded picture."""
        return output_size(video, self.scale, self.size)

    def network_scale(self, video: VideoInfo, scales: Sequence[int] = AUTO_SCALES) -> int:
        """How far the network enlarges, of the `scales` that it has: the smallest that reaches the output. What is left
        is resampled. Raises UsageError for a size that the source has already, or that is out of reach."""
        if self.size is None and (self.scale != BETWEEN or self.scale in scales):
            return self.scale
        size, name = self.output_size(video), f"{video.width}x{video.height}"
        if size[0] < video.width or size[1] < video.height or (size == (video.width, video.height) and 1 not in scales):
            raise UsageError(
                f"size={self.size} would make {size[0]}x{size[1]} of a source of {name}, which is not larger.",
                hint="Ask for a larger size, or for scale 1 and a model that restores or stylises.",
            )
        found = network_scale(video, size, scales)
        if found is None:
            raise UsageError(
                f"{size[0]}x{size[1]} is out of reach for a source of {name}; the network enlarges up to "
                f"{max(scales)} times.",
                hint="Ask for a smaller size, or choose another model.",
            )
        return found

    @property
    def size_name(self) -> str:
        """The size or the scale in a word, such as `1080p` or `x2`."""
        return self.size or f"x{self.scale}"

    @property
    def sound(self) -> SoundWish:
        """What is asked of the sound."""
        return SoundWish.of(self.audio)

    @property
    def restoration(self) -> Restoration:
        return Restoration(denoise=self.denoise, deblock=self.deblock, deband=self.deband, sharpen=self.sharpen)

    @property
    def video_codec(self) -> VideoCodec:
        return CODECS[self.codec]

    @property
    def is_rated(self) -> bool:
        """Whether a bitrate or a size is asked for in place of a quality."""
        return self.bitrate is not None or self.target_size is not None

    @property
    def picture_bits(self) -> int | None:
        """Bits a second that the picture is to have."""
        return amount(self.bitrate) if self.bitrate else None

    @property
    def output_bytes(self) -> int | None:
        """That the whole output is to have."""
        return amount(self.target_size) if self.target_size else None

    @property
    def effective_crf(self) -> int:
        """0 for a codec that has no CRF."""
        default = self.video_codec.crf or 0
        return default if self.crf is None else self.crf


def job_spec(values: Mapping[str, Any]) -> JobSpec:
    """A JobSpec from what a user gave. Raises UsageError that names the first field that does not fit."""
    try:
        return JobSpec.model_validate(dict(values))
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        message = f"{field}={first['input']!r} is not accepted: {reason}." if field else f"{reason}."
        raise UsageError(message, hint=_hint(field)) from exc


def _hint(field: str) -> str:
    if field not in JobSpec.model_fields:
        return f"The fields are {', '.join(JobSpec.model_fields)}."
    description = JobSpec.model_fields[field].description or ""
    return f"{JobSpec.model_fields[field].title}: {description}"
