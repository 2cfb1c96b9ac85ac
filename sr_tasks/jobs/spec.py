"""JobSpec: the one request schema. Dag params, REST bodies and the command line are made from it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator

from sr_tasks.errors import UsageError
from sr_tasks.jobs.form import AUTO as AUTO
from sr_tasks.jobs.form import JobForm
from sr_tasks.records.beside import BESIDE, BesideKind
from sr_tasks.records.codecs import CODECS, VideoCodec
from sr_tasks.records.layout import ANY, PixelWish
from sr_tasks.records.media import VideoInfo
from sr_tasks.records.purposes import PURPOSES
from sr_tasks.records.rate import amount
from sr_tasks.records.restoration import Restoration
from sr_tasks.records.sizes import AUTO_SCALES, Size, network_scale, output_size
from sr_tasks.records.sound import SoundWish

BETWEEN: Final = 3
"""The scale that a network need not have: it enlarges further, and the rest is resampled."""


class JobSpec(JobForm):
    """One customer's request: fields that go together, and what follows from them."""

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
    def pictures_beside(self) -> tuple[BesideKind, ...]:
        """What is to lie beside the output of a video."""
        return tuple(kind for kind in BESIDE if getattr(self, kind))

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
