"""The display size of a picture in Matroska and WebM, which says how wide a pixel is. FFmpeg's muxer takes it from a
place that PyAV cannot reach. So the picture gets a long name, and once the file is finished, the size is written over
it."""

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

from av.stream import Stream
from av.video.stream import VideoStream

from sr_tasks.errors import IntegrityBroken
from sr_tasks.records.colour import aspect_of
from sr_tasks.records.containers import MATROSKA
from sr_tasks.records.media import VideoInfo

PLACEHOLDER: Final = "\N{FIGURE SPACE}" * 16
"""At the end of the name of the stream: room for both numbers, and the header of what is left of it."""
_SEGMENT, _TRACKS, _TRACK, _NAME, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0xE0
_CRC, _VOID, _WIDTH, _HEIGHT, _UNIT = 0xBF, 0xEC, 0x54B0, 0x54BA, 0x54B2
_WIDEST: Final = Fraction(255)
"""Of pixels that FFmpeg reads from Matroska."""
_VIEWS: Final = {"side by side": Fraction(1, 2), "top and bottom": Fraction(2)}
"""By how much one view of two is wider, in relation to its height, than both."""


def reserve_display_size(stream: Stream, video: VideoInfo, muxer: str) -> tuple[int, int] | None:
    """What `write_display_size` is to write of an enlarged `video` when the file is finished; gives the stream the name
    for it. None: the pixels are square, or the container is another one."""
    if muxer not in MATROSKA or not isinstance(stream, VideoStream):
        return None
    size = _display_size(video, stream.codec_context.width, stream.codec_context.height)
    if size is not None:
        stream.metadata["title"] = stream.metadata.get("title", "") + PLACEHOLDER
    return size


def _display_size(video: VideoInfo, width: int, height: int) -> tuple[int, int] | None:
    """Width and height that a picture of `width` times `height` px is shown at, of one eye; None: as it is."""
    aspect = aspect_of(video)
    one_view = _VIEWS.get(video.view.stereo, Fraction(1))
    is_square = aspect == 1 and one_view == 1
    if is_square or not 1 / _WIDEST <= aspect <= _WIDEST:
        return None
    shape = aspect * one_view * Fraction(width, height)
    times = max(1, round(height / shape.denominator))
    return shape.numerator * times, shape.denominator * times


def write_display_size(path: Path, size: tuple[int, int]) -> None:
    """Put the display size into the track whose name ends in PLACEHOLDER, and take that away. Nothing else in the
    file moves. Raises IntegrityBroken if there is no such track."""
    with path.open("r+b") as file:
        start, length = _tracks(file, path)
        file.seek(start)
        found = file.read(length)
        parts = [_without_placeholder(*part, size) if part[0] == _TRACK else part for part in _parts(found)]
        content = b"".join(_element(name, data) for name, data in parts if name != _CRC)
        tracks = _filled(content, length - (6 if parts[0][0] == _CRC else 0))
        if parts[0][0] == _CRC:
            tracks = _element(_CRC, zlib.crc32(tracks).to_bytes(4, "little")) + tracks
        if len(tracks) != length or PLACEHOLDER.encode() in tracks:
            raise IntegrityBroken(f"{path.name} has no place for its display size.", hint="Choose another output.")
        file.seek(start)
        file.write(tracks)


def _without_placeholder(name: int, data: bytes, size: tuple[int, int]) -> tuple[int, bytes]:
    """A track, changed if it is the one."""
    parts = list(_parts(data))
    title = next((content.decode() for part, content in parts if part == _NAME), "")
    if not title.endswith(PLACEHOLDER):
        return name, data
    title = title.removesuffix(PLACEHOLDER)
    changed = b""
    for part, content in parts:
        if part == _VIDEO:
            kept = [one for one in _parts(content) if one[0] not in (_WIDTH, _HEIGHT, _UNIT)]
            kept += [(_WIDTH, _number(size[0])), (_HEIGHT, _number(size[1]))]
            content = b"".join(_element(*one) for one in kept)
        elif part == _NAME:
            content = title.encode()
        if part != _NAME or title:
            changed += _element(part, content)
    return name, changed


def _tracks(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Where the content of the tracks begins, and its length."""
    place, end = 0, path.stat().st_size
    while place < end:
        file.seek(place)
        head = file.read(12)
        name, size, header = _head(head)
        if name == _TRACKS:
            return place + header, size
        place += header + (0 if name == _SEGMENT else size)
    raise IntegrityBroken(f"{path.name} lists no tracks.", hint="Run the job again.")


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        name, size, header = _head(data[place : place + 12])
        yield name, data[place + header : place + header + size]
        place += header + size


def _head(data: bytes) -> tuple[int, int, int]:
    """Id, size of the content, and length of both, of the element that `data` begins with."""
    name_bytes = 9 - data[0].bit_length()
    size_bytes = 9 - data[name_bytes].bit_length()
    size = int.from_bytes(data[name_bytes : name_bytes + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
    return int.from_bytes(data[:name_bytes], "big"), size, name_bytes + size_bytes


def _element(name: int, content: bytes, size_bytes: int = 0) -> bytes:
    """`size_bytes`: of its size; 0: as few as do."""
    needed = size_bytes or next(n for n in range(1, 9) if len(content) < (1 << 7 * n) - 1)
    size = len(content) | 1 << 7 * needed
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size.to_bytes(needed, "big") + content


def _filled(content: bytes, length: int) -> bytes:
    """With an empty element behind it, so that it has that length."""
    left = length - len(content)
    size_bytes = 1 if left < 100 else 8
    return content + _element(_VOID, bytes(max(0, left - 1 - size_bytes)), size_bytes)


def _number(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
