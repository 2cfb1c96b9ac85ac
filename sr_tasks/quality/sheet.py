"""The sheet of `models compare`: the same places of a source, enlarged by several models, one HTML file."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
from pydantic import BaseModel, ConfigDict

from sr_tasks.quality.report import style

_TEMPLATE = Path(__file__).with_name("sheet.html")


class SheetModel(BaseModel):
    """What one model made of the source."""

    model_config = ConfigDict(frozen=True)

    label: str
    title: str
    told: str
    """What it was told of the source; empty for a model that is told nothing."""
    frame_ms: float
    """Milliseconds for a frame of this source, planes in and out, without decoding and encoding."""
    closeness_db: float
    """Luma PSNR of the outputs, made small again, against the source."""
    sharpness: float
    """Mean gradient of the outputs' luma over that of bicubic. Noise that is kept counts as sharpness too."""


class SheetPlace(BaseModel):
    """One region of one frame."""

    model_config = ConfigDict(frozen=True)

    x: int
    y: int
    """Px of the source."""
    width: int
    height: int
    """Px of the output."""
    source: str
    outputs: Sequence[str]
    """`data:` URIs, the outputs in the order of the models."""


class Sheet(BaseModel):
    """Everything the sheet shows. Texts may hold anything: the page escapes them."""

    model_config = ConfigDict(frozen=True)

    source_name: str
    size: str
    """Of the source, e.g. `1280x720`."""
    scale: int
    device: str
    models: Sequence[SheetModel]
    places: Sequence[SheetPlace]


def render(sheet: Sheet) -> str:
    """The page. It loads nothing from outside."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(sheet=sheet, style=style())
