"""Finding out whether a source is interlaced, by its flags and by its pictures: either may be wrong.

A few frames in a row are decoded at places spread over the source, and again more of them where the first look found
combing. The number of decoded frames is bounded, however long the source is. Still frames say nothing: only frames
that move count. The result decides which filter runs. A progressive source taken for interlaced loses sharpness, and
an interlaced one taken for progressive keeps its combs.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger

from sr_tasks.demux.source import NOT_DECODED, open_source, picture_stream, translated
from sr_tasks.media import film
from sr_tasks.media.combing import Codes, Combing, codes, combing
from sr_tasks.media.decoded import neighbours
from sr_tasks.media.numbered import frames_near
from sr_tasks.records.media import UNTOUCHED, PicturePlan, VideoInfo

DECODED_PX: Final = 60_000_000
"""Px to decode at most for the first look, all places together, in a source of two minutes."""
_SHARE: Final = 100
"""Of a longer source the hundredth part is decoded, up to `_MOST` times as much."""
_MOST: Final = 5
_PLACES: Final = (3, 12, 60)
"""The fewest; the most in a short source; the most in any."""
FRAMES_A_PLACE: Final = 1500
"""A longer source is looked at once in so many frames, about a minute."""
_RUN: Final = 6
"""Frames in a row at a place. The inner ones have neighbours on both sides. No multiple of telecine's period."""
_LONG_RUN: Final = 17
"""Three periods of telecine, and neighbours: where the first look found something."""
_LONG_PLACES: Final = 4
_PACKETS: Final = 1000
"""Packets fed at most for one place, where nothing decodes."""
INTERLACED: Final = frozenset({2, 3, 4, 5})
"""AVFieldOrder of what is not progressive."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a few frames in a row look like."""

    target: int
    """Time stamp that was looked for."""
    flagged: int
    """Frames that are flagged interlaced."""
    looks: tuple[Combing, ...]

    @property
    def moving(self) -> int:
        return sum(look.moves for look in self.looks)

    @property
    def order(self) -> str:
        """`tff` or `bff` as most frames say, `mixed` if they comb and their order does not show, or empty."""
        count = Counter(look.order or ("mixed" if look.is_mixed else "") for look in self.looks if look.moves)
        enough = min(2, len(self.looks))
        for order, other in (("tff", "bff"), ("bff", "tff")):
            most = 2 * count[order] >= self.moving - count["mixed"] and count[order] >= enough
            if count[order] > 3 * count[other] and (most or 5 * self._woven(order) >= self.moving):
                return order
        combed = count["mixed"] + count["tff"] + count["bff"]
        return "mixed" if count["mixed"] >= enough and combed >= 0.8 * self.moving else ""

    def _woven(self, order: str) -> int:
        return sum(look.is_woven and look.order == order for look in self.looks)

    @property
    def is_whole(self) -> bool:
        """Whether most of what moves is of one moment a frame."""
        return not self.order and 2 * sum(look.is_whole for look in self.looks) > self.moving


@dataclass(frozen=True, kw_only=True)
class Look:
    """What places spread over a source look like."""

    places: tuple[Place, ...]
    stated: int
    """AVFieldOrder of the stream."""

    @property
    def is_flagged(self) -> bool:
        return self.stated in INTERLACED or any(place.flagged for place in self.places)

    @property
    def combed(self) -> list[Place]:
        return [place for place in self.places if place.order]

    @property
    def whole(self) -> list[Place]:
        return [place for place in self.places if place.is_whole]

    @property
    def order(self) -> Literal["", "tff", "bff"]:
        """As the pictures say. Empty if they do not say, or say one thing here and another there."""
        count = Counter(look.order for place in self.combed for look in place.looks)
        if count["tff"] > 5 * count["bff"]:
            return "tff"
        return "bff" if count["bff"] > 5 * count["tff"] else ""

    @property
    def is_telecined(self) -> bool:
        """Whether two frames of every five are woven, and the others are not: what a frame is, the fifth behind it is
        too, but for places where a film was cut."""
        looks = [look for place in self.combed for look in place.looks if look.moves]
        pairs = [
            look.is_woven == fifth.is_woven
            for place in self.combed
            for look, fifth in zip(place.looks, place.looks[film.BLOCK :], strict=False)
            if look.moves and fifth.moves
        ]
        woven = sum(look.is_woven for look in looks)
        return woven >= 4 and 0.2 < woven / len(looks) < 0.6 and sum(pairs) >= 0.8 * len(pairs) > 0


def look_at(path: Path, video: VideoInfo, picture: PicturePlan = UNTOUCHED) -> Look:
    """A first look at places spread over the source, and a longer one where that found something."""
    frame_px = video.width * video.height
    affordable = min(max(DECODED_PX, frame_px * video.frames // _SHARE), _MOST * DECODED_PX) // frame_px
    count = _places(video.frames, affordable)
    skipped = max(0, affordable // count - _RUN)
    reader = _Reader(path=path, picture=picture, is_short=video.frames <= affordable, skipped=skipped)
    last = video.end_pts - 1 - (video.end_pts - video.start_pts) * _RUN // max(1, video.frames)
    span = max(0, last - video.start_pts)
    places = list(reader.look(sorted({video.start_pts + span * place // (count - 1) for place in range(count)}), _RUN))
    found = [place.target for place in places if place.order]
    if found:
        longer = reader.look(found[:: -(-len(found) // _LONG_PLACES)], _LONG_RUN)
        places = [*(place for place in places if not place.order), *longer]
    return Look(places=tuple(places), stated=reader.stated)


def _places(frames: int, affordable: int) -> int:
    """How many places a source is looked at in, of which so many frames may be decoded."""
    fewest, usual, most = _PLACES
    return min(most, max(usual, frames // FRAMES_A_PLACE), max(fewest, affordable // _RUN))


@dataclass(kw_only=True)
class _Reader:
    """Reads a few frames in a row at places of a file: of a short one from its start on, of others with seeking, and
    leaving out at most `skipped` frames between a keyframe and the place."""

    path: Path
    picture: PicturePlan
    is_short: bool
    skipped: int
    stated: int = 0

    def look(self, targets: Sequence[int], run: int) -> Iterator[Place]:
        with open_source(self.path) as container, translated(self.path):
            stream = self._opened(container)
            frames = self._frames(container, stream, None)
            for target in targets:
                if not self.is_short:
                    frames = self._frames(container, stream, target)
                held = self._run(frames, target, run)
                if not held and not self.is_short:
                    held = self._from_the_start(target, run)
                if held:
                    yield _place(target, held)
            self.stated = int(stream.codec_context.field_order)

    def _from_the_start(self, target: int, run: int) -> list[tuple[Codes, bool]]:
        """For a place that seeking finds no frame at."""
        with open_source(self.path) as container:
            return self._run(self._frames(container, self._opened(container), None), target, run)

    def _opened(self, container: InputContainer) -> VideoStream:
        stream = picture_stream(container, self.path, self.picture.stream)
        stream.codec_context.thread_count = 1
        return stream

    def _frames(self, container: InputContainer, stream: VideoStream, target: int | None) -> Iterator[VideoFrame]:
        """From the keyframe before `target` on; None: from the start."""
        if self.picture.timeline == "table":
            return (frame for frame in frames_near(self.path, self.picture, target) if not frame.is_corrupt)
        if target is not None:
            _seek(container, stream, target)
        return _decoded(container, stream)

    def _run(self, frames: Iterator[VideoFrame], target: int, run: int) -> list[tuple[Codes, bool]]:
        held: list[tuple[Codes, bool]] = []
        for left_out, frame in enumerate(frames):
            is_there = frame.pts is not None and frame.pts >= target
            if held or is_there or (not self.is_short and left_out >= self.skipped):
                held.append((codes(frame), frame.interlaced_frame))
            if len(held) >= run:
                break
        return held


def _place(target: int, held: list[tuple[Codes, bool]]) -> Place:
    lumas = [luma for luma, _ in held]
    looks = [combing(*between) for between in zip(lumas, lumas[1:], lumas[2:], strict=False)]
    if len(held) < 3:
        looks = [combing(*between) for between in neighbours(lumas)]
    return Place(target=target, flagged=sum(is_flagged for _, is_flagged in held), looks=tuple(looks))


def _seek(container: InputContainer, stream: VideoStream, target: int) -> None:
    try:
        container.seek(target, stream=stream, backward=True)
    except av.error.FFmpegError as exc:
        logger.debug("seek to {} failed, reading on: {}", target, exc)


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    idle = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except NOT_DECODED:
            frames = []
        idle = 0 if frames else idle + 1
        for frame in frames:
            if isinstance(frame, VideoFrame) and not frame.is_corrupt:
                yield frame
        if idle >= _PACKETS:
            return
