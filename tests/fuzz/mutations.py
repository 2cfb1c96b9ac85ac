"""Ways in which files go wrong: bytes, blocks, fields of headers, and packets. The same seed gives the same file."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error

_HEADER = 768
_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_BOXES = (b"stts", b"ctts", b"stsz", b"stco", b"stsc", b"stsd", b"stss", b"mdhd", b"tkhd", b"elst", b"hdlr", b"mvhd",
          b"avcC", b"trun", b"tfhd", b"tfdt", b"avih", b"strh", b"strf", b"idx1", b"esds")  # fmt: skip

Mutation = Callable[[bytearray, random.Random], None]


def _flip_anywhere(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 4, 8, 32))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_in_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(min(_HEADER, len(data)))] = rng.randrange(256)


def _flip_in_trailer(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 4))):
        data[len(data) - 1 - rng.randrange(min(_HEADER, len(data)))] = rng.randrange(256)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) // 8, len(data)) :]


def _behead(data: bytearray, rng: random.Random) -> None:
    del data[: rng.randrange(1, len(data) // 2)]


def _block(data: bytearray, rng: random.Random) -> tuple[int, int]:
    size = min(len(data) // 4, rng.choice((16, 188, 512, 2048)))
    return rng.randrange(len(data) - size), size


def _wipe(data: bytearray, rng: random.Random) -> None:
    at, size = _block(data, rng)
    data[at : at + size] = bytes(size)


def _noise(data: bytearray, rng: random.Random) -> None:
    at, size = _block(data, rng)
    data[at : at + size] = rng.randbytes(size)


def _delete(data: bytearray, rng: random.Random) -> None:
    at, size = _block(data, rng)
    del data[at : at + size]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, size = _block(data, rng)
    data[at:at] = data[at : at + size]


def _swap(data: bytearray, rng: random.Random) -> None:
    (first, size), (second, _) = _block(data, rng), _block(data, rng)
    if abs(first - second) >= size and second + size <= len(data):
        one, other = data[first : first + size], data[second : second + size]
        data[first : first + size], data[second : second + size] = other, one


def _edit_field(data: bytearray, rng: random.Random) -> None:
    """A number in a box of MP4 or AVI, or in the header of any other file, becomes an extreme one."""
    places = [at for name in _BOXES if (at := data.find(name)) >= 0]
    start = rng.choice(places) + 4 if places else 0
    at = start + rng.randrange(0, 48)
    size, order = rng.choice((("B", 1), ("H", 2), ("I", 4))), rng.choice("<>")
    if at + size[1] <= len(data):
        value = rng.choice((*_EXTREMES, rng.randrange(1 << 32))) & ((1 << 8 * size[1]) - 1)
        struct.pack_into(order + size[0], data, at, value)


_BYTES: tuple[Mutation, ...] = (
    _flip_anywhere, _flip_in_header, _flip_in_trailer, _truncate, _behead, _wipe, _noise, _delete, _repeat, _swap,
    _edit_field, _edit_field,
)  # fmt: skip


def mutate(source: Path, target: Path, rng: random.Random) -> str:
    """Write a file that differs from `source` in one to three ways; returns what was done, in a few words."""
    done = []
    if rng.random() < 0.3:
        done.append(_mutate_packets(source, target, rng))
    else:
        target.write_bytes(source.read_bytes())
    if not done or done[0] == "" or rng.random() < 0.2:
        data = bytearray(target.read_bytes())
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            mutation = rng.choice(_BYTES)
            if len(data) > 64:
                mutation(data, rng)
                done.append(mutation.__name__.strip("_"))
        target.write_bytes(data)
    return ", ".join(filter(None, done))


def _mutate_packets(source: Path, target: Path, rng: random.Random) -> str:
    """Packets left out, doubled, exchanged, broken, or with other times, in a whole container. Empty: impossible."""
    what = rng.choice(("drop", "double", "exchange", "break", "shift", "stop", "equal"))
    try:
        with av.open(str(source)) as before:
            streams = [stream for stream in before.streams if stream.type in ("video", "audio", "subtitle")]
            packets = [packet for packet in before.demux(streams) if packet.size]
            _change(packets, what, rng)
            with av.open(str(target), "w", options={"fflags": "+bitexact"}) as after:
                made = {stream.index: after.add_stream_from_template(stream) for stream in streams}
                for packet, data in packets if what == "break" else [(packet, None) for packet in packets]:
                    copy = av.Packet(data if data is not None else bytes(packet))
                    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
                    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
                    copy.stream = made[packet.stream_index]
                    after.mux_one(copy)
    except (av.error.FFmpegError, ValueError, TypeError, OverflowError):
        target.write_bytes(source.read_bytes())
        return ""
    return f"packets: {what}"


def _change(packets: list[Any], what: str, rng: random.Random) -> None:
    at = rng.randrange(len(packets))
    if what == "drop":
        del packets[at : at + rng.choice((1, 1, 2, 5))]
    elif what == "double":
        packets.insert(at, packets[at])
    elif what == "exchange":
        other = rng.randrange(len(packets))
        packets[at], packets[other] = packets[other], packets[at]
    elif what == "break":
        broken = [bytearray(bytes(packet)) for packet in packets]
        for data in broken[at : at + rng.choice((1, 2, 4))]:
            data[rng.randrange(len(data)) :] = b""
        packets[:] = [(packet, bytes(data)) for packet, data in zip(packets, broken, strict=True)]
    elif what == "stop":
        del packets[max(1, at) :]
    else:
        step = rng.choice((-90000, -3, 1, 40, 100_000_000)) if what == "shift" else 0
        stamp = packets[at].pts
        for packet in packets[at : at + rng.choice((1, 3, 1000))]:
            if packet.pts is None or packet.dts is None:
                continue
            packet.pts, packet.dts = (packet.pts + step, packet.dts + step) if step else (stamp, stamp)
