"""Recipes of stylisations: everything such a run depends on, in one YAML file. Reads and checks it; trains nothing."""

import hashlib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sr_tasks.errors import InputNotFound, UsageError
from sr_tasks.records.loading import load_yaml, read_yaml
from sr_tasks.training.recipe import OptimisationRecipe, PoolRecipe


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterRecipe(_Strict):
    """The ink wash that is imitated: flat patches of paint, soft steps of tone, dark lines along edges."""

    radius: int = Field(default=4, ge=1, le=16, description="Of the patches, in px.")
    sharpness: float = Field(default=8.0, ge=1, le=32, description="How clearly the calmest sector of a px wins.")
    tones: int = Field(default=7, ge=2, le=32, description="Steps from black to white.")
    tone_strength: float = Field(default=0.5, ge=0, le=1, description="0 leaves tones alone, 1 moves them fully.")
    tone_sharpness: float = Field(default=6.0, gt=0, le=32, description="Of the passage from one tone to the next.")
    line_sigma: float = Field(default=1.0, gt=0, le=4, description="Half the width of the lines, in px.")
    line_threshold: float = Field(default=0.006, ge=0, le=1, description="Edges fainter than this get no line.")
    line_gain: float = Field(default=30.0, gt=0, description="How fast a line grows dark with the edge it follows.")
    line_strength: float = Field(default=0.85, ge=0, le=1, description="1 lets lines reach black.")


class StyleNetworkRecipe(_Strict):
    """3x3 convolutions at full size with ReLU between them; dilated ones see far at the price of near ones."""

    channels: int = Field(default=16, ge=1, le=256)
    dilations: tuple[int, ...] = Field(default=(1, 2, 4, 4, 2, 1), description="Of the inner convolutions.")

    @property
    def margin(self) -> int:
        """How many px around a px its answer depends on, to each side: the first and the last see one px far."""
        return 2 + sum(self.dilations)


class StyleRecipe(_Strict):
    """One run: the same recipe gives the same weights on the same kind of processor."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    kind: Literal["style"]
    seed: int = Field(ge=0)
    filter: FilterRecipe
    network: StyleNetworkRecipe
    pool: PoolRecipe
    cartoon_probability: float = Field(default=0.25, ge=0, le=1, description="How many images are a few flat colours.")
    noise_sigma_max: float = Field(
        default=6.0, ge=0, le=64, description="In 8-bit codes, of noise that only the network sees and must not paint."
    )
    edge_weight: float = Field(default=0.5, ge=0, description="Of errors of the steps from px to px in the loss.")
    optimisation: OptimisationRecipe

    @model_validator(mode="after")
    def _a_patch_fits(self) -> Self:
        needed = self.optimisation.patch + 2 * self.network.margin
        if needed > self.pool.side:
            raise ValueError(
                f"optimisation.patch {self.optimisation.patch} needs pool.side of {needed} px or more, "
                f"not {self.pool.side}"
            )
        return self

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any value of the recipe."""
        return _digest(self.model_dump_json())

    def pairs_fingerprint(self) -> str:
        """The same of what the pictures depend on alone, so that runs may share them."""
        return _digest(self.model_dump_json(include={"seed", "filter", "pool", "cartoon_probability"}))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_style_recipe(path: Path) -> bool:
    """Whether the recipe `path` says `kind: style`. Raises InputNotFound or UsageError for a file that is no YAML."""
    try:
        values = read_yaml(path, UsageError, what="The recipe", hint="Correct the recipe.")
    except FileNotFoundError as exc:
        raise _missing(path) from exc
    return isinstance(values, dict) and values.get("kind") == "style"


def load_style_recipe(path: Path) -> StyleRecipe:
    """Raises InputNotFound for a missing file and UsageError for one that is not a valid recipe."""
    try:
        return load_yaml(path, StyleRecipe, UsageError, what="The recipe", hint="Correct the recipe.")
    except FileNotFoundError as exc:
        raise _missing(path) from exc


def _missing(path: Path) -> InputNotFound:
    return InputNotFound(f"There is no recipe {path}.", hint="Recipes lie in include/models/recipes.")
