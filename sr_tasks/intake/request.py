"""What somebody says of a weight file they bring. Opens nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class AddRequest:
    """All but the name may be left empty: it is then taken from the card, or found out. Said twice with two meanings,
    here and in the card, it is refused."""

    name: str
    version: str | None = None
    """Empty for the next number."""
    licence: str | None = None
    """SPDX expression; needed unless the card has it."""
    source: str | None = None
    """URL the weights come from."""
    card_path: Path | None = None
    """A YAML file with fields of a ModelCard; those it leaves out are found out or filled in."""
    title: str | None = None
    scale: int | None = None
    """Only to be checked: it is found by running the network."""
    style_name: str | None = None
    """Makes it a model of kind style."""
    style_licence: str | None = None
    channel_order: Literal["rgb", "bgr"] = "rgb"
    """In which an ONNX file takes and gives its channels; no file says so."""
    value_range: Literal["auto", "1", "255"] = "auto"
    """Largest value of what an ONNX file takes and gives; auto tries on a known picture."""
    inputs: Mapping[str, float] = field(default_factory=dict)
    """Constant value of every input of an ONNX file but the picture."""
