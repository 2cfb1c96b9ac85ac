"""The page of a job over a folder: what was delivered, what was not and why, and a contact sheet, the worst first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import jinja2
import numpy as np
from pydantic import BaseModel, ConfigDict

from sr_tasks.quality.pictures import Rgb, as_uri
from sr_tasks.quality.report import style

_TEMPLATE = Path(__file__).with_name("contact.html")
_THUMBNAIL_PX: Final = 240
"""Longer side of a whole picture on the sheet."""


class ContactCell(BaseModel):
    """One picture: the whole of it, and the place that came out worst before and after."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: str
    """Such as `60x40 to 120x80`."""
    psnr: float
    doubt: str
    """What speaks against it; empty for nothing."""
    whole: str
    before: str
    after: str
    """`data:` URIs."""


class NotDelivered(BaseModel):
    """A file without an output, and why."""

    model_config = ConfigDict(frozen=True)

    name: str
    code: str
    message: str


class ContactSheet(BaseModel):
    """Everything the page shows. Texts may hold anything: the page escapes them."""

    model_config = ConfigDict(frozen=True)

    source: str
    output: str
    size: str
    """What was asked for: `2x` or `to 1080p`."""
    created: str
    counts: Mapping[str, int]
    models: Mapping[str, int]
    """Pictures by model."""
    failed: Sequence[NotDelivered]
    skipped: Sequence[NotDelivered]
    more: int
    """Files without an output beyond those that are listed."""
    cells: Sequence[ContactCell]


def render(sheet: ContactSheet) -> str:
    """The page. It loads nothing from outside."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(sheet=sheet, style=style())


def thumbnail(image: Rgb) -> str:
    """A small picture [rows, columns, 3] as a `data:` URI; one that is small already keeps its size."""
    rows, columns = image.shape[:2]
    factor = min(1.0, _THUMBNAIL_PX / max(rows, columns))
    size = max(1, round(columns * factor)), max(1, round(rows * factor))
    small = image if factor == 1.0 else np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return as_uri(small, ".jpg")
