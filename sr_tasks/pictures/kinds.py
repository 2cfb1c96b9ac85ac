"""Tells a still picture from everything else by its bytes, never by its name. An animation is a video."""

import struct
from pathlib import Path
from typing import BinaryIO, Final

from sr_tasks.errors import InputNotFound, InputUnreadable, InputUnsupported
from sr_tasks.records.pictures import PictureFormat
from sr_tasks.storage.failures import reading

_HEAD_BYTES: Final = 64
_MAX_PARTS: Final = 1000
"""Of a file that are walked through before it counts as still."""
_BEGINNINGS: Final[tuple[tuple[bytes, PictureFormat], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"\xff\x0a", "JXL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JXL"),
)
_UNREAD: Final[tuple[tuple[bytes, str], ...]] = (
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
)
"""How pictures begin that are known and not read."""
_BRANDS: Final[dict[bytes, PictureFormat]] = {
    b"avif": "AVIF",
    b"heic": "HEIF",
    b"heix": "HEIF",
    b"heim": "HEIF",
    b"heis": "HEIF",
    b"mif1": "HEIF",
}
"""Major brands of still pictures in ISO base media files. `avis`, `hevc` and `msf1` are sequences."""


def refuse_unread(path: Path) -> None:
    """Raises InputUnsupported for a picture of a kind that is known and not read, and what `format_of` raises."""
    with reading(path), path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for beginning, name in _UNREAD:
        if head.startswith(beginning):
            raise InputUnsupported(
                f"{path.name} is a {name} picture, which is not read.",
                hint="Convert it to a PNG or TIFF of 16 bits in sRGB first; several of them are a folder of pictures.",
            )


def format_of(path: Path) -> PictureFormat | None:
    """The format that the bytes of a local file say; None for what begins like no picture, and for an animated one.

    Raises InputNotFound, InputUnreadable.
    """
    try:
        with path.open("rb") as file:
            found = format_of_head(file.read(_HEAD_BYTES))
            return None if found is not None and _is_animated(file, found) else found
    except FileNotFoundError as exc:
        raise InputNotFound(f"{path} does not exist.", hint="Check the path.") from exc
    except OSError as exc:
        raise InputUnreadable(f"{path} cannot be read: {exc.strerror}.", hint="Check its permissions.") from exc


def format_of_head(head: bytes) -> PictureFormat | None:
    """The format that begins with these bytes; 64 are enough."""
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00" and len(head) >= 26:
        return "BMP"
    if head[4:8] != b"ftyp":
        return None
    found = _BRANDS.get(head[8:12])
    return "AVIF" if found == "HEIF" and b"avif" in head[16:] else found


def _is_animated(file: BinaryIO, name: PictureFormat) -> bool:
    try:
        if name == "PNG":
            return _png_is_animated(file)
        if name == "GIF":
            return _gif_is_animated(file)
        if name == "WEBP":
            file.seek(12)
            kind, _, flags = struct.unpack("<4sIB", file.read(9))
            return bool(kind == b"VP8X" and flags & 2)
    except (struct.error, IndexError):  # cut short: whoever decodes it says so
        return False
    return False


def _png_is_animated(file: BinaryIO) -> bool:
    """Whether its animation is announced before its samples."""
    file.seek(8)
    for _ in range(_MAX_PARTS):
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind in (b"acTL", b"IDAT", b"IEND"):
            return bool(kind == b"acTL")
        file.seek(length + 4, 1)
    return False


def _gif_is_animated(file: BinaryIO) -> bool:
    """Whether there is a second picture."""
    file.seek(10)
    _skip_colors(file, file.read(3)[0])
    pictures = 0
    for _ in range(_MAX_PARTS):
        kind = file.read(1)
        if kind == b"!":
            file.seek(1, 1)
        elif kind == b",":
            pictures += 1
            if pictures > 1:
                return True
            _skip_colors(file, file.read(9)[8])
            file.seek(1, 1)
        else:
            return False
        while length := file.read(1)[0]:
            file.seek(length, 1)
    return False


def _skip_colors(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)
