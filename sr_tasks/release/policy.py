"""The policy of a release: margins, the watch over a candidate, who promotes. Data; reads one YAML file of a model."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sr_tasks.errors import UsageError
from sr_tasks.records.loading import load_yaml

POLICY: Final = "release.yaml"
"""Beside the versions of a model; a model without one has the defaults."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GoldenMargins(_Strict):
    """How far a candidate may stay behind production on the golden set. dB of luma unless said otherwise."""

    mean_loss_db: float = Field(default=0.03, ge=0, description="Mean over all degradations.")
    class_loss_db: float = Field(default=0.15, ge=0, description="Mean over the scenes of one degradation.")
    scene_loss_db: float = Field(default=0.75, ge=0, description="Any one scene under any degradation.")
    class_ssim_loss: float = Field(default=0.004, ge=0)
    class_gmsd_rise: float = Field(default=0.004, ge=0, description="Edge error (GMSD), mean over one degradation.")
    class_chroma_loss_db: float = Field(default=0.3, ge=0, description="PSNR of the worse chroma plane.")
    class_flicker_rise: float = Field(default=0.05, ge=0, description="Of flicker beside bicubic's, as a share.")
    class_lpips_rise: float = Field(default=0.01, ge=0)
    broken_db: float = Field(
        default=6.0, gt=0, description="A version this far below bicubic on clean sources is broken: always refused."
    )


class WatchRule(_Strict):
    """When a candidate is taken back. The four chances add up to that of taking back a version that is as good."""

    quality_margin_db: float = Field(default=0.02, ge=0, description="A mean loss up to this is no loss.")
    quality_clip_db: float = Field(default=0.4, gt=0, description="A job's difference counts for no more than this.")
    quality_chance: float = Field(default=0.008, gt=0, lt=0.5)
    failure_chance: float = Field(default=0.007, gt=0, lt=0.5, description="Whole jobs that failed.")
    break_off_chance: float = Field(default=0.002, gt=0, lt=0.5, description="Frames one version alone cannot do.")
    speed_ratio_max: float | None = Field(
        default=1.25, gt=0, description="Seconds of the candidate over production's, median. None: not judged."
    )
    speed_chance: float = Field(default=0.003, gt=0, lt=0.5)
    minimum_jobs: int = Field(default=8, ge=1, description="Nothing is decided on fewer.")

    @property
    def false_rollback_chance(self) -> float:
        """Bound on the chance that a candidate as good as production is ever taken back, however long it is watched."""
        return self.quality_chance + self.failure_chance + self.break_off_chance + self.speed_chance


class Promotion(_Strict):
    """Who makes a candidate production, and after how much."""

    by: Literal["person", "auto"] = "person"
    after_jobs: int = Field(default=64, ge=1, description="Jobs with a paired test that auto waits for.")
    after_candidate_jobs: int = Field(default=16, ge=0, description="Jobs the candidate did itself.")


class ReleasePolicy(_Strict):
    """`include/models/<name>/release.yaml`; whatever is left out has its default."""

    golden: GoldenMargins = GoldenMargins()
    watch: WatchRule = WatchRule()
    promotion: Promotion = Promotion()

    @model_validator(mode="after")
    def _can_decide(self) -> Self:
        if self.watch.false_rollback_chance >= 0.5:
            raise ValueError("the chances of watch add up to one half or more: no rule is left")
        return self


def load_policy(models_dir: Path, name: str) -> ReleasePolicy:
    """The policy of a model. Raises UsageError for a file that is not valid."""
    path = models_dir / name / POLICY
    try:
        return load_yaml(path, ReleasePolicy, UsageError, what="The release policy", hint="Correct the file.")
    except FileNotFoundError:
        return ReleasePolicy()
