"""Recipes: everything a training run depends on, in one YAML file. Reads and checks it; draws and trains nothing."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sr_tasks.errors import InputNotFound, UsageError
from sr_tasks.records.loading import load_yaml

DownScaling = Literal["bicubic", "area", "aliased", "blurred"]
DegradationKind = Literal["noise", "jpeg", "video", "noisy_video"]
SceneKind = Literal["leaves", "text", "lines", "gratings", "clouds"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkRecipe(_Strict):
    """The plain network: 3x3 convolutions with ReLU between them."""

    channels: int = Field(default=16, ge=1, le=256)
    width: int = Field(default=64, ge=1, le=1024, description="Of the linear detour that training takes; see network.")
    layers: int = Field(default=4, ge=0, le=32, description="Convolutions between the first and the last one.")


class PoolRecipe(_Strict):
    """The synthetic images. Shares are weights: they need not sum to one."""

    images: int = Field(ge=1, description="How many images are trained on.")
    held_out: int = Field(default=16, ge=1, description="Further images that only measure progress.")
    side: int = Field(default=512, ge=32, multiple_of=4, description="Width and height in px.")
    scenes: dict[SceneKind, float]
    lens_blur_probability: float = Field(ge=0, le=1)
    lens_blur_sigma_max: float = Field(gt=0.5, le=8, description="In px of the 2x oversampled drawing.")
    defocus_probability: float = Field(ge=0, le=1)
    faint_probability: float = Field(ge=0, le=1, description="How many images are reduced in contrast.")
    faint_contrast_min: float = Field(default=0.2, gt=0, le=1)
    grain_probability: float = Field(ge=0, le=1)
    grain_sigma_max: float = Field(ge=0, le=32, description="In 8-bit codes.")


class DegradationRecipe(_Strict):
    """Noise and compression put on the small images of a network that is told their level."""

    variants: int = Field(default=4, ge=1, description="Degraded versions of each image.")
    kinds: dict[DegradationKind, float]
    noise_sigma_max: float = Field(default=12.0, gt=0, description="In 8-bit codes.")
    jpeg_quality: tuple[int, int] = (25, 95)
    crf: tuple[int, int] = Field(default=(16, 40), description="Of H.264.")
    clean_share: float = Field(default=0.35, ge=0, le=1, description="Share of batches without degradation.")
    level_error: float = Field(default=0.15, ge=0, description="Deviation of the logarithm of the level that is told.")


class PhotosRecipe(_Strict):
    """Photographs trained on beside the synthetic images; they lie in a folder that the command names."""

    list_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the folder's photos.csv.")
    share: float = Field(gt=0, le=1, description="Of the patches, or with degradation of the images; others are drawn.")
    validation: int = Field(default=12, ge=1, description="How many photographs of the validation split are measured.")


class StartRecipe(_Strict):
    """The network that training starts from, proved by its hash."""

    file: str = Field(description="An ONNX file made by a training, relative to the recipe.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class LastStage(_Strict):
    """The end of a training on photographs: the mean square error alone, which is what PSNR measures."""

    share: float = Field(gt=0, lt=1, description="Of the steps.")
    precision: Literal["fp32", "bf16"] = "fp32"


class OptimisationRecipe(_Strict):
    """Adam with a linear warm-up, then half a cosine down to `final_share` of the learning rate."""

    steps: int = Field(ge=1)
    stop_at: int | None = Field(default=None, ge=1, description="Ends early: the start of another training.")
    threads: int = Field(default=1, ge=1, description="CPU threads: another number adds up in another order.")
    batch: int = Field(default=16, ge=1)
    patch: int = Field(default=48, ge=4, description="Side of what one patch is asked for, in source px.")
    learning_rate: float = Field(gt=0)
    warm_up_steps: int = Field(default=100, ge=1)
    precision: Literal["fp32", "bf16"] = Field(default="fp32", description="Of the inner convolutions in training.")
    final_share: float = Field(default=0.005, ge=0, le=1)
    charbonnier_epsilon: float = Field(default=1e-3, gt=0)
    fourier_weight: float = Field(default=0.0, ge=0, description="Of the mean error of the orthonormal spectrum.")
    last_stage: LastStage | None = None
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    checkpoint_every: int = Field(default=2000, ge=1)
    measure_every: int = Field(default=2000, ge=1)

    @property
    def last_step(self) -> int:
        return self.steps if self.stop_at is None else min(self.steps, self.stop_at)


class Recipe(_Strict):
    """One training run: the same recipe gives the same weights on the same kind of processor."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(ge=0)
    scale: Literal[1, 2, 4] = 2
    network: NetworkRecipe
    start: StartRecipe | None = None
    pool: PoolRecipe
    photos: PhotosRecipe | None = None
    down_scaling: dict[DownScaling, float]
    degradation: DegradationRecipe | None = Field(default=None, description="With it the network is told a level.")
    optimisation: OptimisationRecipe

    @model_validator(mode="after")
    def _shares_can_be_drawn_from(self) -> Self:
        drawn: list[tuple[str, Mapping[Any, float]]] = [
            ("pool.scenes", self.pool.scenes),
            ("down_scaling", self.down_scaling),
        ]
        if self.degradation is not None:
            drawn.append(("degradation.kinds", self.degradation.kinds))
        for label, shares in drawn:
            if any(share < 0 for share in shares.values()) or sum(shares.values()) <= 0:
                raise ValueError(f"{label} needs shares of zero or more with a positive sum, not {dict(shares)}")
        only = {"fourier_weight", "last_stage"} & self.optimisation.model_fields_set
        if only and (self.photos is None or self.degradation is not None):
            raise ValueError(f"optimisation.{min(only)} needs photos and no degradation")
        if self.scale == 1 and (self.degradation is None or set(self.down_scaling) != {"bicubic"}):
            raise ValueError("scale 1 makes nothing small: it needs degradation and down_scaling of bicubic alone")
        needed = self.optimisation.patch + 2 * (self.network.layers + 2)
        if self.scale * needed > self.pool.side:
            raise ValueError(
                f"optimisation.patch {self.optimisation.patch} needs pool.side of {self.scale * needed} px or more, "
                f"not {self.pool.side}"
            )
        return self

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any value of the recipe."""
        return _digest(self.model_dump_json())

    def pool_fingerprint(self) -> str:
        """The same of what the images depend on alone, so that runs may share them."""
        return _digest(f"{self.seed}:{self.pool.model_dump_json()}")

    def degradation_fingerprint(self) -> str:
        """The same of what the degraded images depend on besides."""
        degradation = self.degradation.model_dump_json() if self.degradation else ""
        photos = f":{self.photos.model_dump_json()}" if self.photos and self.degradation else ""
        return _digest(f"{self.scale}:{sorted(self.down_scaling.items())}:{degradation}{photos}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def load_recipe(path: Path) -> Recipe:
    """Raises InputNotFound for a missing file and UsageError for one that is not a valid recipe."""
    try:
        return load_yaml(path, Recipe, UsageError, what="The recipe", hint="Correct the recipe.")
    except FileNotFoundError as exc:
        raise InputNotFound(f"There is no recipe {path}.", hint="Recipes lie in include/models/recipes.") from exc
