"""The fields of a request, with the titles and help texts that form, REST API, command line and launcher show.

A field's section groups it in Airflow's form. Which values go together, and what follows from them, `spec` says.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sr_tasks.records.codecs import CODECS, Codec, Preset
from sr_tasks.records.grain import GrainWish
from sr_tasks.records.purposes import PURPOSES, PurposeName
from sr_tasks.records.rate import BITRATE_PATTERN, SIZE_PATTERN
from sr_tasks.records.restoration import Strength
from sr_tasks.records.sizes import NAMED
from sr_tasks.records.sound import SOUND_PATTERN

AUTO: Final = "auto"
Content = Literal["any", "live", "animation", "screen"]
Fields = Literal["single", "double", "film", "refuse"]
Strip = Literal["nothing", "location", "device", "all"]
ReviewWish = Literal["auto", "always", "never"]
Priority = Literal["low", "normal", "high"]
ChromaWish = Literal["auto", "420", "422", "444"]

_DEFAULT_CRFS = ", ".join(f"{row.crf} for {row.name}" for row in CODECS.values() if row.crf is not None)


class JobForm(BaseModel):
    """Every field of a request by itself: type, range, default and help text."""

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
    poster: bool = Field(
        default=False,
        title="Poster",
        description="On: a JPEG of the frame with the most detail lies beside the output of a video.",
        json_schema_extra={"section": "Files"},
    )
    contact_sheet: bool = Field(
        default=False,
        title="Contact sheet",
        description="On: a JPEG with up to 16 frames of the output of a video lies beside it.",
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
    strength: float = Field(
        default=1.0,
        title="Strength",
        description="How much of the model's output is taken, 0 to 1; the rest is plain resampling of the source. For "
        "networks and styles that are too bold.",
        ge=0,
        le=1,
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
    grain: GrainWish = Field(
        default="off",
        title="Grain",
        description="Film grain behind the model, in videos. keep: as much as the source has and the model takes away. "
        "light, medium, strong: of that strength, in luma.",
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
