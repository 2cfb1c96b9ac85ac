"""Tells packets of H.264 that hold one field of a frame, by what their slices say. Decodes nothing.

Cameras and broadcasts may code each field of a frame as a picture of its own, and files may give each one a packet. Two
of them make one frame then.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from av.packet import Packet
from av.video.stream import VideoStream

_SLICES: Final = (1, 5)
_SPS: Final = 7
_HEAD_BYTES: Final = 256
"""Bytes of a unit that are looked at: no more is needed of a slice, nor of what is read of a parameter set."""
_HIGH_PROFILES: Final = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_INTRA_444: Final = 3
_START: Final = re.compile(b"\0\0\1")
_ESCAPED: Final = re.compile(b"\0\0\3")


class FieldPictures:
    """Told the packets of a stream in the order of the file, says of each whether it holds a single field."""

    def __init__(self, video: VideoStream) -> None:
        extradata = video.codec_context.extradata or b""
        is_counted = extradata[:1] == b"\1" and len(extradata) > 6
        self._length_bytes = (extradata[4] & 3) + 1 if is_counted else 0
        self._may_be_fields = False
        self._frame_num_bits = 0
        self._has_planes_apart = False
        for unit in _listed(extradata) if is_counted else _between_start_codes(extradata):
            self._note(unit)

    def __call__(self, packet: "Packet[Any]") -> bool:
        if not (self._may_be_fields or packet.is_keyframe):  # parameter sets come with keyframes
            return False
        data, parities = bytes(packet), set()
        for unit in _counted(data, self._length_bytes) if self._length_bytes else _between_start_codes(data):
            self._note(unit)
            if self._may_be_fields and unit and unit[0] & 31 in _SLICES:
                parities.add(self._parity(unit))
        return parities in ({"upper"}, {"lower"})

    def _note(self, unit: bytes) -> None:
        """Keep what a sequence parameter set says."""
        if not unit or unit[0] & 31 != _SPS:
            return
        bits = _Bits(unit[1:])
        profile = bits.take(24) >> 16
        bits.golomb()
        self._has_planes_apart = False
        if profile in _HIGH_PROFILES:
            chroma = bits.golomb()
            self._has_planes_apart = chroma == _INTRA_444 and bits.take(1) == 1
            bits.golomb(), bits.golomb(), bits.take(1)
            if bits.take(1):
                bits.skip_scaling(12 if chroma == _INTRA_444 else 8)
        self._frame_num_bits = bits.golomb() + 4
        order = bits.golomb()
        if order == 0:
            bits.golomb()
        elif order == 1:
            bits.take(1), bits.golomb(), bits.golomb()
            for _ in range(min(bits.golomb(), 255)):
                bits.golomb()
        bits.golomb(), bits.take(1), bits.golomb(), bits.golomb()
        self._may_be_fields = bits.take(1) == 0

    def _parity(self, slice_unit: bytes) -> str:
        """`upper` or `lower` for a slice of a field, else empty."""
        bits = _Bits(slice_unit[1:])
        bits.golomb(), bits.golomb(), bits.golomb()
        bits.take(2 * self._has_planes_apart + self._frame_num_bits)
        if not bits.take(1):
            return ""
        return "lower" if bits.take(1) else "upper"


class _Bits:
    """Reads a unit bit by bit. Behind its end there are zeros."""

    def __init__(self, unit: bytes) -> None:
        plain = _ESCAPED.sub(b"\0\0", unit[:_HEAD_BYTES])
        self._left = len(plain) * 8
        self._value = int.from_bytes(plain, "big")

    def take(self, count: int) -> int:
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)

    def golomb(self) -> int:
        """An unsigned number of Exp-Golomb code."""
        zeros = 0
        while self._left > 0 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def skip_scaling(self, lists: int) -> None:
        for number in range(lists):
            if not self.take(1):
                continue
            last = following = 8
            for _ in range(16 if number < 6 else 64):
                if following:
                    following = (last + self.signed()) % 256
                last = following or last


def _listed(avcc: bytes) -> Iterator[bytes]:
    """The sequence parameter sets of a decoder configuration record."""
    place = 6
    for _ in range(avcc[5] & 31):
        length = int.from_bytes(avcc[place : place + 2], "big")
        yield avcc[place + 2 : place + 2 + length]
        place += 2 + length


def _counted(data: bytes, length_bytes: int) -> Iterator[bytes]:
    place = 0
    while place + length_bytes < len(data):
        length = int.from_bytes(data[place : place + length_bytes], "big")
        place += length_bytes
        yield data[place : place + min(length, _HEAD_BYTES)]
        place += length


def _between_start_codes(data: bytes) -> Iterator[bytes]:
    for start in _START.finditer(data):
        yield data[start.end() : start.end() + _HEAD_BYTES]
