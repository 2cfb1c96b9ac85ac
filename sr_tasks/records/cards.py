"""Model cards: what a model is, what it may be used for, and what its outputs must measure up to. Reads YAML only."""

import math
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sr_tasks.errors import ModelRejected
from sr_tasks.records.loading import load_yaml
from sr_tasks.records.spdx import canonical

Precision = Literal["fp32", "fp16", "bf16", "int8"]
Kind = Literal["network", "resampler", "style"]
Licence = Annotated[str, AfterValidator(canonical)]
"""An SPDX expression, in SPDX's own spelling."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ReviewLimits(_Strict):
    """The gate's second threshold: an output past one of these is doubtful, and a person decides.

    Left out: within 1 dB of a PSNR's limit, within 0.02 of SSIM's, or at over nine tenths of what is allowed.
    """

    global_psnr_min: float | None = None
    frame_psnr_min: float | None = None
    block_psnr_min: float | None = None
    ssim_min: float | None = None
    plane_shift_max: float | None = None
    block_shift_max: float | None = None
    color_error_max: float | None = None
    pixel_shift_max: float | None = None
    seam_max: float | None = None


_PSNR_MARGIN_DB = 1.0
_SSIM_MARGIN = 0.02
_SHARE_OF_MAX = 0.9


_PSNR_LIMITS: Final = ("global_psnr_min", "frame_psnr_min", "block_psnr_min")
_GRAIN_MARGIN_DB: Final = 5.0
"""More than blocks with the strongest grain, and what a person is asked about, are below the mean."""
_GRAIN_CHANCE: Final = 7.0
"""Standard deviations of a line's mean that chance reaches among all lines and frames."""


class GateLimits(_Strict):
    """What an output of this model must measure against its source. PSNR in dB at the source's size, 8-bit scale."""

    global_psnr_min: float = Field(description="Mean over frames of PSNR between down-scaled output and source luma.")
    frame_psnr_min: float = Field(description="The same of the worst frame.")
    block_psnr_min: float = Field(description="The same of the worst 32x32 block of any frame.")
    ssim_min: float = Field(description="SSIM of the worst frame.")
    plane_shift_max: float = Field(
        default=0.8, description="Shift of any plane's mean beyond what the codec's noise explains, in 8-bit codes."
    )
    block_shift_max: float = Field(default=4.0, description="The same of the worst 32x32 block of any plane.")
    color_error_max: float = Field(
        default=0.9, description="Error that a wrong mix of the planes (matrix, range) explains, in 8-bit codes."
    )
    pixel_shift_max: float = Field(default=0.08, description="Displacement against the source, in source pixels.")
    seam_max: float = Field(default=1.5, description="How far a line across the picture stands out, in 8-bit codes.")
    wrong_frames_max: int = Field(default=0, description="Frames in a neighbour's place, frozen or newly black.")
    review: ReviewLimits = Field(default=ReviewLimits(), description="From where on a person decides.")

    @model_validator(mode="after")
    def _reviews_before_it_refuses(self) -> Self:
        for name, asked in self.review:
            limit = getattr(self, name)
            if asked is not None and (asked < limit if name.endswith("_min") else asked > limit):
                raise ValueError(f"review.{name}={asked:g} lies beyond the limit {name}={limit:g} that refuses")
        return self

    def with_grain(self, sigma: float, side_px: int) -> "GateLimits":
        """The same for an output with grain of its own, of which the source's has nothing: the error that two such
        grains make, and what they move the mean of a line by where the shorter side is so long, are allowed for."""
        if sigma == 0.0:
            return self
        error = math.sqrt(2.0) * sigma
        psnr = 20.0 * math.log10(255.0 / error) - _GRAIN_MARGIN_DB
        lowered = {name: min(getattr(self, name), psnr) for name in _PSNR_LIMITS}
        seam = self.seam_max + _GRAIN_CHANCE * error / math.sqrt(side_px)
        return self.model_copy(update={**lowered, "ssim_min": 0.0, "seam_max": seam, "review": ReviewLimits()})

    def for_review(self) -> "GateLimits":
        """The same with the second threshold in the place of the first."""
        return self.model_copy(update={name: self._second(name, asked) for name, asked in self.review})

    def _second(self, name: str, asked: float | None) -> float:
        limit = float(getattr(self, name))
        if asked is not None:
            return asked
        if name.endswith("_max"):
            return limit * _SHARE_OF_MAX
        return limit + (_SSIM_MARGIN if name == "ssim_min" else _PSNR_MARGIN_DB)


class Weights(_Strict):
    """A file of a version, proved by its hash before anything opens it."""

    file: str = Field(description="Beside the card, or where the file goes in the weights cache if it has a `uri`.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    uri: str = Field(default="", description="Where the file lies if it is too large to lie beside its card.")


class Tiling(_Strict):
    """How a picture may be cut for this model."""

    mode: Literal["exact", "overlap"] = Field(
        default="exact",
        description="exact: with `halo` px around it a tile comes out as in the whole picture. overlap: the network "
        "sees the whole picture, so neighbouring tiles are blended over `halo` px.",
    )
    halo: int = Field(ge=0, description="Source px around a tile that its answer depends on, to each side.")
    multiple: int = Field(default=1, ge=1, description="Both sides of what is fed must be multiples of this.")
    minimum: int = Field(default=1, ge=1, description="Smallest side the network takes.")
    fixed: tuple[int, int] | None = Field(default=None, description="Rows, columns of a network of one size only.")


class Level(_Strict):
    """A network that is told how far its source departs from a clean one: root mean square error in 8-bit codes."""

    max: float = Field(gt=0, description="Larger levels are given as this one.")
    step: float = Field(default=0.25, gt=0, description="Levels are rounded to multiples, each a graph of its own.")


class Style(_Strict):
    """What a stylisation imitates, and whose it is."""

    name: str
    licence: Licence = Field(description="SPDX expression of the style's own licence.")
    attribution: str = ""


class Quality(_Strict):
    """Y-PSNR gain over bicubic in dB, border of `scale` px cropped."""

    test_set: str
    scale: int
    down_scaling: str
    degradation: str = Field(default="", description="What was done to the small picture, e.g. `crf 26`.")
    psnr_db: float
    ssim: float | None = None
    gain_over_bicubic_db: float


class Speed(_Strict):
    device: str
    precision: str
    frame: str
    fps: float


class ModelCard(_Strict):
    """One version of a model. `include/models/<name>/<version>/card.yaml`."""

    name: str
    version: str
    title: str
    architecture: str
    kind: Kind = "network"
    color: Literal["luma", "rgb"] = "luma"
    scale: int = Field(ge=1, le=8, description="Of one pass.")
    max_passes: int = Field(default=1, ge=1, le=2, description="2: a job may run it twice for scale squared.")
    parameters: int = Field(ge=0)
    receptive_field: int = Field(ge=1, description="Side in source px that one output px depends on.")
    window: int = Field(default=1, ge=1, description="Frames that the network sees at once, for one that it enlarges.")
    warm_up: int = Field(default=0, ge=0, description="Frames it must have seen before its answers count.")
    tiling: Tiling | None = Field(default=None, description="None: exact, with half the receptive field as halo.")
    level: Level | None = Field(default=None, description="None: the network is told nothing about its source.")
    precisions: tuple[Precision, ...] = Field(default=("fp32",), description="In which it may be run, if proved.")
    weights: Weights | None = Field(default=None, description="ONNX: see sr_tasks.graphs.network for its form.")
    original: Weights | None = Field(default=None, description="The file it was exported from, if it was.")
    inputs: dict[str, float] = Field(default={}, description="Further inputs of that file, and their constant values.")
    style: Style | None = None
    licence: Licence = Field(description="SPDX expression.")
    source: str = Field(default="", description="URL the weights come from.")
    training_data: str
    intended_content: str
    limits: str = ""
    quality: tuple[Quality, ...] = ()
    speed: tuple[Speed, ...] = ()
    samples: tuple[str, ...] = Field(default=(), description="Pictures beside the card.")
    relative_cost: float = Field(default=1.0, gt=0, description="Seconds a source megapixel takes, for planning.")
    gate: GateLimits

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if (self.kind == "style") != (self.style is not None):
            raise ValueError("a card of kind style, and no other, has an entry style that names the style's licence")
        if self.kind != "resampler" and self.weights is None:
            raise ValueError(f"a card of kind {self.kind} names its weights")
        return self

    @model_validator(mode="after")
    def _sees_one_frame(self) -> Self:
        if (self.window, self.warm_up) != (1, 0):
            raise ValueError(
                f"window {self.window} and warm_up {self.warm_up} are not supported: so far every network sees one "
                "frame and keeps nothing of it (window 1, warm_up 0)"
            )
        return self

    @property
    def tiles(self) -> Tiling:
        """How to cut a picture; of `max_passes` one after the other the halo covers all."""
        if self.tiling is not None:
            return self.tiling
        return Tiling(halo=self.max_passes * (self.receptive_field // 2))

    @property
    def scales(self) -> tuple[int, ...]:
        return tuple(self.scale**n for n in range(1, self.max_passes + 1))


def load_card(path: Path) -> ModelCard:
    """Raises ModelRejected for a card that is not valid."""
    try:
        return load_yaml(path, ModelCard, ModelRejected, what="The card", hint="Correct the card.")
    except FileNotFoundError as exc:
        raise ModelRejected(f"There is no card {path}.", hint="Restore it.") from exc
