"""The containers and codecs that outputs may have. One table each: a further codec or container is one row."""

from typing import Final

TARGETS: Final = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffix of an output -> FFmpeg's muxer."""
