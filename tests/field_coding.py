"""H.264 whose fields are pictures of their own, by hand, since x264 makes none: samples without compression."""

from collections.abc import Sequence

import numpy as np

FRAME, FIELDS, ONE_FIELD = "frame", "fields", "one field"
"""How a frame is coded. Of ONE_FIELD the second field is missing."""

_I_PCM, _ALL_INTRA = 25, 7
_GROUP = 8
"""Frames from one keyframe to the next. More would need more bits for the order of pictures."""


class _Bits:
    def __init__(self) -> None:
        self._bits: list[int] = []

    def fixed(self, value: int, count: int = 1) -> "_Bits":
        self._bits += [value >> place & 1 for place in range(count - 1, -1, -1)]
        return self

    def golomb(self, *values: int) -> "_Bits":
        for value in values:
            length = (value + 1).bit_length()
            self.fixed(0, length - 1).fixed(value + 1, length)
        return self

    def aligned(self) -> bytes:
        return np.packbits(np.array(self._bits, np.uint8)).tobytes()

    def closed(self) -> bytes:
        return self.fixed(1).aligned()


def _unit(kind: int, content: bytes) -> bytes:
    escaped, zeros = bytearray(), 0
    for byte in content:
        if zeros >= 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return b"\0\0\0\1" + bytes([kind]) + bytes(escaped)


def _headers(width: int, height: int) -> bytes:
    """Main profile, 25 frames a second, fields allowed."""
    sequence = _Bits().fixed(77, 8).fixed(0, 8).fixed(30, 8).golomb(0, 0, 0, 2, 1).fixed(0)
    sequence.golomb(width // 16 - 1, height // 32 - 1).fixed(0b0010, 4)
    sequence.fixed(0b100001, 6).fixed(1, 32).fixed(50, 32).fixed(0b10000, 5)
    pictures = _Bits().golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0).fixed(0b100, 3)
    return _unit(0x67, sequence.closed()) + _unit(0x68, pictures.closed())


def _picture(luma: np.ndarray, place: int, *, parity: int | None, is_first: bool, order: int) -> bytes:
    """One slice. `parity`: 0 for the upper field, 1 for the lower one, None for a frame."""
    is_reference = place % _GROUP == 0
    is_idr = is_reference and is_first
    bits = _Bits().golomb(0, _ALL_INTRA, 0).fixed(0 if is_reference else 1, 4).fixed(parity is not None)
    if parity is not None:
        bits.fixed(parity)
    if is_idr:
        bits.golomb(place // _GROUP % 2)
    bits.fixed(order, 6)
    if is_reference:
        bits.fixed(0, 2 if is_idr else 1)
    bits.golomb(0, 1)
    content = bytearray()
    for top in range(0, luma.shape[0], 16):
        for left in range(0, luma.shape[1], 16):
            content += bits.golomb(_I_PCM).aligned()
            content += luma[top : top + 16, left : left + 16].tobytes() + bytes([128]) * 128
            bits = _Bits()
    kind = (0x60 if is_reference else 0) | (5 if is_idr else 1)
    return _unit(kind, bytes(content) + bits.closed())


def coded(frames: Sequence[np.ndarray], kinds: Sequence[str], order: str = "tff") -> bytes:
    """A raw stream of gray pictures [H, W], sides multiples of 32. `kinds` says how each one is coded."""
    first = 0 if order == "tff" else 1
    stream = bytearray()
    for place, (frame, kind) in enumerate(zip(frames, kinds, strict=True)):
        luma = np.ascontiguousarray(frame.clip(16, 235))
        at = 2 * (place % _GROUP)
        if place % _GROUP == 0:
            stream += _headers(luma.shape[1], luma.shape[0])
        if kind == FRAME:
            stream += _picture(luma, place, parity=None, is_first=True, order=at)
            continue
        for number, parity in enumerate((first, 1 - first)[: 1 if kind == ONE_FIELD else 2]):
            field = np.ascontiguousarray(luma[parity::2])
            stream += _picture(field, place, parity=parity, is_first=number == 0, order=at + number)
    return bytes(stream)
