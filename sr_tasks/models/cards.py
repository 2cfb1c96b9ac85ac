"""Model cards: what a model is, what it may be used for, and what its outputs must measure up to. Reads YAML only."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sr_tasks.errors import ModelRejected


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class Weights(_Strict):
    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Quality(_Strict):
    """Y-PSNR gain over bicubic in dB, border of `scale` px cropped."""

    test_set: str
    scale: int
    down_scaling: str
    psnr_db: float
    ssim: float
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
    kind: Literal["network", "resampler"] = "network"
    color: Literal["luma", "rgb"] = "luma"
    scale: int = Field(ge=1, le=8, description="Of one pass.")
    max_passes: int = Field(default=1, ge=1, le=2, description="2: a job may run it twice for scale squared.")
    parameters: int = Field(ge=0)
    receptive_field: int = Field(ge=1, description="Side in source px that one output px depends on.")
    precisions: tuple[Literal["fp32", "bf16"], ...] = ("fp32",)
    weights: Weights | None = None
    licence: str
    training_data: str
    intended_content: str
    limits: str = ""
    quality: tuple[Quality, ...] = ()
    speed: tuple[Speed, ...] = ()
    relative_cost: float = Field(default=1.0, gt=0, description="Seconds a source megapixel takes, for planning.")
    gate: GateLimits

    @property
    def scales(self) -> tuple[int, ...]:
        return tuple(self.scale**n for n in range(1, self.max_passes + 1))


def load_card(path: Path) -> ModelCard:
    """Raises ModelRejected for a card that is not valid."""
    try:
        return ModelCard.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as exc:
        raise ModelRejected(f"The card {path} is not valid: {exc}", hint="Correct the card.") from exc
