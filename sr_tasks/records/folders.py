"""What a job over a folder of pictures keeps: the files it found, what became of each, and how it went as a whole."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from sr_tasks.records.assessment import Decision

GROUPS: Final = 128
"""Files are dealt out to so many groups by their addresses. A file stays in its group whatever else is added."""
SHARD_FILES: Final = 25
"""A shard should have at least so many files; a folder has 1, 2, 4, ... or 128 shards."""
Fate = Literal["delivering", "delivered", "failed", "skipped"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class FolderRecord(_Record):
    """Left by the listing."""

    source: str
    output: str
    """Addresses of the two folders, with a slash at the end."""
    files: int
    size_bytes: int
    """Of the files that are named as pictures."""
    shards: int


class PictureFile(_Record):
    """One file that was found."""

    uri: str
    output_uri: str
    size_bytes: int


class PictureOutcome(_Record):
    """What became of one file. The last line about a file counts."""

    uri: str
    output_uri: str
    size_bytes: int
    status: Fate
    """`delivering`: the output is complete and is about to be moved to its place."""
    code: str = ""
    message: str = ""
    """Why it was not delivered, or what is to be known of it."""
    settings: str = ""
    """Fingerprint of everything but the source that decides the output."""
    source_identity: str = ""
    """Of the source as it was looked at."""
    source_sha256: str = ""
    output_sha256: str = ""
    output_identity: str = ""
    """Of the delivered file: changes whenever somebody writes to it."""
    source_size: tuple[int, int] = (0, 0)
    output_size: tuple[int, int] = (0, 0)
    """Px: columns, rows."""
    model: str = ""
    level: float = 0.0
    verdict: Decision | None = None
    psnr: float | None = None
    """In dB, of the output made small again against the source."""
    figures: Mapping[str, Any] = {}
    """Of the gate."""
    seconds: float = 0.0


def shard_count(files: int) -> int:
    """Number of shards for so many files: a power of two, so that each shard has whole groups."""
    count = 1
    while count < GROUPS and count * SHARD_FILES < files:
        count *= 2
    return count
