"""Proves that sound and subtitles that were converted still say what the source says, by decoding both at once."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from sr_tasks.demux.clock import packets_on_one_clock
from sr_tasks.demux.source import open_source, translated
from sr_tasks.records.assessment import Finding
from sr_tasks.records.containers import loses_nothing
from sr_tasks.records.media import ClockPart, MediaInfo, StreamPlan
from sr_tasks.streams.convert import Continuous
from sr_tasks.streams.texts import Shown, Texts

_STYLE = re.compile(r"\{[^}]*\}")
_CODEC_FRAME_S = Fraction(1, 20)
"""Encoders with loss add up to a frame of theirs at either end, and decoders cut it off again if the file says so."""
_BLOCK_S = Fraction(1, 4)
_RATE = 8000
"""Levels are compared at this sample rate, in blocks of `_BLOCK_S`."""
_LEVEL_PART, _LEVEL_FLOOR = 0.4, 0.02
"""How far the levels of a block may be apart: as a part of the louder one, and at least that of full scale."""
_BLOCKS_OFF = 0.05
"""The part of all blocks that may be further apart."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A stream of a file, with the times that its packets have on one clock."""

    path: Path
    index: int
    clock: tuple[ClockPart, ...] = ()
    picture: int = 0
    """Index of the picture stream, which says where in `clock` a packet is."""

    def packets(self) -> "Iterator[Packet[Any]]":
        """In order, and an empty one at the end where the clock does not jump, to flush the decoder."""
        with open_source(self.path) as container, translated(self.path):
            stream: Stream = container.streams[self.index]
            if self.clock:
                yield from packets_on_one_clock(container, [stream], self.clock, self.picture)
            else:
                yield from container.demux(stream)


def check(media: MediaInfo, source: Path, output: Path, fate: StreamPlan, name: str, offset: Fraction) -> list[Finding]:
    """Findings about one stream of `source`, which is `media`, that was converted. `offset`: seconds that the picture
    begins later in the output.

    Raises InputRefused errors if a file cannot be opened or read.
    """
    if fate.source_index is None or fate.output_index is None:
        return []
    before = Side(path=source, index=fate.source_index, clock=media.picture.clock, picture=media.video.index)
    after = Side(path=output, index=fate.output_index)
    if fate.type == "subtitle":
        return [_texts(before, after, name, offset)]
    compare = _samples if loses_nothing(fate.codec, fate.target) else _levels
    return [compare(before, after, name, offset)]


def _texts(before: Side, after: Side, name: str, offset: Fraction) -> Finding:
    off = Fraction(0)
    texts = changed = 0
    for one, other in zip_longest(_shown(before), _shown(after)):
        texts += 1
        if one is None or other is None or one[1] != other[1]:
            changed += 1
        else:
            off = max(off, abs(other[0] - one[0] - offset))
    ok = changed == 0 and off <= Fraction(2, 1000)
    detail = f"all {texts} texts, at their times" if ok else f"{changed} of {texts} texts differ"
    if off > Fraction(2, 1000):
        detail += f"; moved by {float(off) * 1000:.0f} ms"
    return Finding(check=f"{name}: content", ok=ok, detail=detail)


def _shown(side: Side) -> Iterator[tuple[Fraction, str]]:
    """When each text is shown, in seconds, and its letters, without white space and styles."""
    texts: Texts | None = None
    for packet in side.packets():
        if isinstance(packet.stream, SubtitleStream):
            texts = texts or Texts(packet.stream)
            yield from map(_letters, texts.feed(packet))
    if texts is not None:
        yield from map(_letters, texts.flush())


def _letters(shown: Shown) -> tuple[Fraction, str]:
    text = _STYLE.sub("", shown.text.decode("utf-8", "replace")).replace("\\N", " ").replace("\\h", " ")
    return shown.start, "".join(text.split())


def _samples(before: Side, after: Side, name: str, offset: Fraction) -> Finding:
    prints = []
    for side in (before, after):
        digest, count, start, tick = hashlib.sha256(), 0, None, Fraction(0)
        for frame, stream_tick in _sound(side, "s32", None):
            if start is None:
                start, tick = _seconds(frame), stream_tick
            digest.update(frame.to_ndarray().tobytes())
            count += frame.samples
        prints.append((digest.hexdigest(), count, start or Fraction(0), tick))
    (hash_a, count_a, start_a, tick_a), (hash_b, count_b, start_b, tick_b) = prints
    moved = start_b - start_a - offset
    ok = hash_a == hash_b and abs(moved) <= tick_a + tick_b
    detail = (
        f"all {count_b} samples the same" if hash_a == hash_b else f"{count_b} samples, source {count_a}, not the same"
    )
    if abs(moved) > tick_a + tick_b:
        detail += f"; moved by {float(moved) * 1000:.1f} ms against the picture"
    return Finding(check=f"{name}: content", ok=ok, detail=detail)


def _levels(before: Side, after: Side, name: str, offset: Fraction) -> Finding:
    blocks = off = 0
    last: tuple[Fraction, Fraction] | None = None
    starts: tuple[Fraction, Fraction] | None = None
    for one, other in zip_longest(_loudness(before, Fraction(0)), _loudness(after, offset)):
        blocks += 1
        if one is None or other is None:
            off += max(block[2] for block in (one, other) if block is not None) > _CODEC_FRAME_S
            continue
        starts = starts or (one[0], other[0])
        last = (one[0] + one[2], other[0] + other[2])
        off += abs(one[1] - other[1]) > max(_LEVEL_FLOOR, _LEVEL_PART * max(one[1], other[1]))
    if starts is None or last is None:
        return Finding(check=f"{name}: content", ok=blocks == 0, detail="no sound can be decoded in one of the files")
    moved = max((starts[1] - starts[0], last[1] - last[0]), key=abs)
    in_step = abs(moved) <= _CODEC_FRAME_S + Fraction(1, 100)
    alike = off <= max(1, _BLOCKS_OFF * blocks)
    detail = f"{float(last[1] - starts[1]):.2f} s, in step and as loud as in the source"
    if not in_step or not alike:
        detail = f"begins or ends {float(moved) * 1000:.0f} ms off; {off} of {blocks} parts are not as loud"
    return Finding(check=f"{name}: content", ok=in_step and alike, detail=detail)


def _loudness(side: Side, offset: Fraction) -> Iterator[tuple[Fraction, float, Fraction]]:
    """Time of each block in the source's time, root mean square of its samples (1 is full scale), and its length."""
    left = np.zeros(0, np.float32)
    at: Fraction | None = None
    size = int(_BLOCK_S * _RATE)
    for frame, _ in _sound(side, "s16", _RATE):
        at = _seconds(frame) - offset if at is None else at
        left = np.concatenate([left, frame.to_ndarray()[0].astype(np.float32) / 32768])
        while len(left) >= size:
            yield at, float(np.sqrt(np.mean(np.square(left[:size])))), _BLOCK_S
            at, left = at + _BLOCK_S, left[size:]
    if at is not None and len(left):
        yield at, float(np.sqrt(np.mean(np.square(left)))), Fraction(len(left), _RATE)


def _sound(side: Side, sample_format: str, rate: int | None) -> Iterator[tuple[AudioFrame, Fraction]]:
    """Decoded sound without gaps, resampled (to mono, if to a rate), with its stream's tick."""
    continuous = Continuous()
    resampler: AudioResampler | None = None
    kind: tuple[str, str, int] | None = None
    for packet in side.packets():
        for frame in continuous.feed(packet):
            found = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None or found != kind:
                layout = frame.layout.name if rate is None else "mono"
                resampler = AudioResampler(format=sample_format, layout=layout, rate=rate or frame.sample_rate)
                kind = found
            for made in resampler.resample(frame):
                yield made, packet.time_base


def _seconds(frame: AudioFrame) -> Fraction:
    return Fraction(frame.pts or 0) * (frame.time_base or Fraction(1, frame.sample_rate))
