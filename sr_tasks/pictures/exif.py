"""EXIF as bytes: made upright and of a new size in place, so that maker notes keep their offsets; tags removed."""

import re
import struct
from typing import Final

from PIL import Image

from sr_tasks.jobs.form import Strip

_PREFIX: Final = b"Exif\x00\x00"
_ORIENTATION, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_WIDTH, _HEIGHT = 0xA002, 0xA003
_SHORT, _LONG = 3, 4
_DEVICE_TAGS: Final = (0x010F, 0x0110, 0x0131, 0x013C, 0xC614, 0xC62F)
"""Make, model, software, host, unique camera model, camera serial number."""
_DEVICE_EXIF: Final = (0x927C, 0xA430, 0xA431, 0xA432, 0xA433, 0xA434, 0xA435, 0xA43A, 0xA43B, 0xA43C, 0xA420)
"""Maker note, owner, serial numbers, lens, firmware, editing software, unique image id."""
_MAKER_NOTE: Final = 0x927C
_XMP_ORIENTATION: Final = re.compile(rb"(tiff:Orientation(?:=[\"']|>))[2-8]")


def upright(exif: bytes, width: int, height: int) -> bytes:
    """The block with orientation 1 and the size of the picture, everything else as it was. What cannot be read is
    returned unchanged."""
    prefix = _PREFIX if exif.startswith(_PREFIX) else b""
    block = bytearray(exif[len(prefix) :])
    try:
        _Patch(block).apply({_ORIENTATION: 1}, {_WIDTH: width, _HEIGHT: height})
    except (struct.error, IndexError):
        return exif
    return prefix + bytes(block)


def stripped(exif: bytes, strip: Strip) -> bytes:
    """The block without what `strip` names; empty if nothing is to stay."""
    if strip == "nothing" or not exif:
        return exif
    if strip == "all":
        return b""
    found = Image.Exif()
    found.load(exif)
    inner = found.get_ifd(_EXIF_IFD)
    found.pop(_GPS_IFD, None)
    found._ifds.pop(_GPS_IFD, None)
    inner.pop(_MAKER_NOTE, None)  # which may hold a place too
    if strip == "device":
        for tag in _DEVICE_TAGS:
            found.pop(tag, None)
        for tag in _DEVICE_EXIF:
            inner.pop(tag, None)
    return found.tobytes()


def upright_xmp(xmp: bytes) -> bytes:
    """The packet with orientation 1."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


class _Patch:
    """Values of a TIFF structure changed in place."""

    def __init__(self, block: bytearray) -> None:
        self._block = block
        self._order = "<" if block[:2] == b"II" else ">"

    def apply(self, first: dict[int, int], inner: dict[int, int]) -> None:
        """Set tags of the first directory and of the EXIF directory, where they are there. A thumbnail, which shows
        the picture as it was turned, is cut off where the picture is turned."""
        (start,) = self._read("I", 4)
        entries = self._entries(start)
        turned = self._value(entries.get(_ORIENTATION)) not in (None, 1)
        self._set(entries, first)
        if _EXIF_IFD in entries:
            self._set(self._entries(self._value(entries[_EXIF_IFD]) or 0), inner)
        if turned:
            struct.pack_into(self._order + "I", self._block, start + 2 + 12 * len(entries), 0)

    def _entries(self, start: int) -> dict[int, int]:
        (count,) = self._read("H", start)
        places = [start + 2 + 12 * index for index in range(count)]
        return {int(self._read("H", place)[0]): place for place in places}

    def _value(self, place: int | None) -> int | None:
        if place is None:
            return None
        kind = self._read("H", place + 2)[0]
        return int(self._read("H" if kind == _SHORT else "I", place + 8)[0])

    def _set(self, entries: dict[int, int], values: dict[int, int]) -> None:
        for tag, value in values.items():
            place = entries.get(tag)
            if place is None or (kind := self._read("H", place + 2)[0]) not in (_SHORT, _LONG):
                continue
            if kind == _SHORT and value > 0xFFFF:
                continue
            struct.pack_into(self._order + ("H" if kind == _SHORT else "I"), self._block, place + 8, value)

    def _read(self, code: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + code, self._block, place)
