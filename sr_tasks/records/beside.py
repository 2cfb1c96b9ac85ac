"""The pictures beside the output of a video, where they are asked for: a poster frame and a contact sheet."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

BesideKind = Literal["poster", "contact_sheet"]

BESIDE: Final[dict[BesideKind, str]] = {"poster": "poster.jpg", "contact_sheet": "contact.jpg"}
"""What comes behind the name of the output, and a dot."""


class PictureBeside(BaseModel):
    """One of them, in the job's folder under its name until it is delivered."""

    model_config = ConfigDict(frozen=True)

    frames: tuple[int, ...]
    """Numbers of the frames that it shows, from 0."""
    width: int
    height: int
    """px, upright."""
    size_bytes: int
    sha256: str


class PicturesBeside(BaseModel):
    """Left by `assess`; None for what was not asked for."""

    model_config = ConfigDict(frozen=True)

    poster: PictureBeside | None = None
    contact_sheet: PictureBeside | None = None
