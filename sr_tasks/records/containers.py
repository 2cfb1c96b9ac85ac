"""The containers and codecs that outputs may have. One table each: a further codec or container is one row."""

from typing import Final

from sr_tasks.records.codecs import CODECS

TARGETS: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffix of an output -> FFmpeg's muxer."""


def holds(suffix: str, codec: str) -> bool:
    """Whether a file with that suffix (lower case, with its dot) can be written and holds that video codec."""
    return TARGETS.get(suffix) in CODECS[codec].muxers
