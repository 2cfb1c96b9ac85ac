"""How large an output is to be, where that is asked for instead of a quality; and what led to it."""

import re
from typing import Final

from pydantic import BaseModel, ConfigDict

BITRATE_PATTERN: Final = r"^[1-9][0-9]{0,5}(\.[0-9]{1,3})?[kM]$"
SIZE_PATTERN: Final = r"^[1-9][0-9]{0,5}(\.[0-9]{1,3})?(kB|MB|GB|KiB|MiB|GiB)$"
UNDER: Final = 0.975
"""An output of a size that is asked for is at least that part of it, and no larger than it, where the codec's steps of
quality are fine enough."""
AIM: Final = 0.99
_UNITS: Final = {
    "k": 10**3, "M": 10**6, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip


def amount(text: str) -> int:
    """`8M` (bits a second) or `700MB` (bytes) as a whole number. `text` fits one of the two patterns."""
    number, unit = re.split(r"(?<=[0-9])(?=[A-Za-z])", text)
    return round(float(number) * _UNITS[unit])


class Round(BaseModel):
    """One encode at one quality."""

    model_config = ConfigDict(frozen=True)

    crf: float
    segments: int
    """How many were encoded: a few for the first rounds of a long video, all for the others."""
    picture_bytes: int
    """Of all segments; where few were encoded, in proportion to their frames."""


class RateRecord(BaseModel):
    """Left by `assemble` in the job folder, round by round: the plan of the rate that all chunks share."""

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    """Of the chunks that are encoded anew and of what is asked for."""
    goal_bytes: int
    """Of the picture alone; 0 as long as it is not known what the rest of the file takes."""
    rounds: tuple[Round, ...] = ()
    crf: float | None = None
    """What the chunks of the output were encoded with. None: not decided."""
