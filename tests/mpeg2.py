"""MPEG-2 as FFmpeg's encoder does not write it: its streams with other headers."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

_PICTURE, _SEQUENCE, _EXTENSION, _GROUP = (b"\0\0\1" + bytes([kind]) for kind in (0x00, 0xB3, 0xB5, 0xB8))
_OF_SEQUENCE, _OF_PICTURE = 1, 8
_25_FPS = 3


def with_repeats(path: Path, repeats: tuple[int, ...]) -> Path:
    """Say of frames, in the order they are shown, that they are shown for a field more, and name the field first that
    follows from it. `repeats`: whether, for some frames, over and over."""
    data = bytearray(path.read_bytes())
    before = 0
    for group, end in pairwise([*_places(data, _GROUP), len(data)]):
        headers = [at for at in _places(data, _PICTURE) if group < at < end]
        for header in headers:
            number = before + (data[header + 4] << 2 | data[header + 5] >> 6)
            at = data.index(_EXTENSION, header) + 4
            is_lower_first = sum(repeats[one % len(repeats)] for one in range(number)) % 2
            data[at + 3] = data[at + 3] & 0x7D | 0x80 * (not is_lower_first) | 2 * repeats[number % len(repeats)]
            data[at + 4] |= 0x80
        before += len(headers)
    path.write_bytes(data)
    return path


def with_field_pictures(path: Path) -> Path:
    """Two frames of a stream of keyframes alone become the upper and the lower field of one of twice their height."""
    data = path.read_bytes()
    made = bytearray()
    for number, (start, end) in enumerate(pairwise([*_places(data, _SEQUENCE), len(data)])):
        one = bytearray(data[start:end])
        height = 2 * ((one[5] & 15) << 8 | one[6])
        one[5:7] = one[5] & 0xF0 | height >> 8, height & 0xFF
        one[7] = one[7] & 0xF0 | _25_FPS
        for at in (place + 4 for place in _places(one, _EXTENSION)):
            if one[at] >> 4 == _OF_SEQUENCE:
                one[at + 1] &= ~8 & 0xFF  # not progressive
            elif one[at] >> 4 == _OF_PICTURE:
                one[at + 2] = one[at + 2] & ~3 | 1 + number % 2
                one[at + 3] &= 0x3C  # what frames say of their fields
                one[at + 4] &= 0x7F
        made += one[one.index(_PICTURE) :] if number % 2 else one
    path.write_bytes(made)
    return path


def _places(data: bytes | bytearray, code: bytes) -> Iterator[int]:
    at = data.find(code)
    while at >= 0:
        yield at
        at = data.find(code, at + 4)
