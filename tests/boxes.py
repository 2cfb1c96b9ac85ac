"""What no muxer here writes into MP4: edit lists with several edits, and pictures that are mirrored."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

Edit = tuple[int, int]
"""Milliseconds that are shown, and the media time to show them from; -1: nothing is shown."""


class _Box(NamedTuple):
    kind: bytes
    start: int
    content: int
    end: int


def _boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[_Box]:
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        yield _Box(kind, start, start + 8, start + size)
        start += size


def _inside(data: bytes | bytearray, kind: bytes, start: int, end: int) -> list[_Box]:
    return [box for box in _boxes(data, start, end) if box.kind == kind]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def edited(source: Path, target: Path, tracks: dict[int, Sequence[Edit]]) -> Path:
    """Copy an MP4 file, whose index is at its end, with these edits for tracks by number."""
    data = source.read_bytes()
    for track, edits in tracks.items():
        rows = b"".join(struct.pack(">IiI", length, time, 1 << 16) for length, time in edits)
        added = _box(b"edts", _box(b"elst", struct.pack(">II", 0, len(edits)) + rows))
        (movie,) = _inside(data, b"moov", 0, len(data))
        place = _inside(data, b"trak", movie.content, movie.end)[track]
        before = _inside(data, b"edts", place.content, place.end)
        start, end = (before[0].start, before[0].end) if before else (place.end, place.end)
        grown = bytearray(data[:start] + added + data[end:])
        for box in (movie, place):
            size = box.end - box.start + len(added) - (end - start)
            grown[box.start : box.start + 4] = struct.pack(">I", size)
        data = bytes(grown)
    target.write_bytes(data)
    return target


def turned(source: Path, target: Path, matrix: Sequence[int]) -> Path:
    """Copy an MP4 file whose picture players turn by a matrix: a, b, c, d, and px that it is moved across and down."""
    data = bytearray(source.read_bytes())
    (movie,) = _inside(data, b"moov", 0, len(data))
    track = _inside(data, b"trak", movie.content, movie.end)[0]
    (header,) = _inside(data, b"tkhd", track.content, track.end)
    a, b, c, d, across, down = (value << 16 for value in matrix)
    place = header.content + (52 if data[header.content] else 40)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, across, down, 1 << 30)
    target.write_bytes(data)
    return target
