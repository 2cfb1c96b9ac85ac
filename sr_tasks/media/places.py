"""Places: the few frames of a source that a rehearsal tries, at its beginning, in its middle, at its end, and where its
picture changes. Decodes nothing, and keeps a bounded number of time stamps."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from sr_tasks.demux.scan import FramePoint, PtsHash
from sr_tasks.media.chunks import points_of
from sr_tasks.records.media import Chunk, MediaInfo, VideoInfo

_DECODED_PX = 100_000_000
"""Px to decode at most before the frames of a place are reached."""
FRAMES_AT_CHANGE = 2
_FEW = 4
"""A source with less than so many places' frames is one place."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A few frames that follow each other: their chunks, and the picture of a source that holds no others."""

    chunks: tuple[Chunk, ...]
    video: VideoInfo


def chosen(path: Path, media: MediaInfo, frames: int, changes: int) -> list[Place]:
    """The first, some middle and the last `frames` frames, and two at each of the first `changes` places where the
    picture changes; all of them, as one place, where there are few.

    Each place but the first begins at a keyframe, or as many frames behind it as may be decoded for it. The first is
    cut in two, so that chunks have to be joined.
    """
    seen = _Seen(video=media.video, frames=frames, changes=changes)
    for number, point in enumerate(points_of(path, media.picture)):
        seen.add(number, point)
    half = (len(seen.first) + 1) // 2
    begin = [_chunk(0, seen.first[:half], None)]
    if seen.first[half:]:
        begin.append(_chunk(1, seen.first[half:], None))
    places = [_place(begin, seen.first, media.video)]
    for points, seek_pts in ((seen.middle, seen.middle_seek), (list(seen.last), seen.keyframe), *seen.changed):
        if points:
            places.append(_place([_chunk(0, points, seek_pts)], points, media.video))
    return places


def _place(chunks: list[Chunk], points: list[FramePoint], video: VideoInfo) -> Place:
    last = points[-1]
    is_all = len(points) == video.frames
    facts = {
        "frames": len(points),
        "start_pts": points[0].pts,
        "end_pts": video.end_pts if is_all else last.pts + max(1, last.duration),
        "pts_sha256": _hash(points),
    }
    return Place(chunks=tuple(chunks), video=video.model_copy(update=facts))


def _chunk(index: int, points: list[FramePoint], seek_pts: int | None) -> Chunk:
    return Chunk(
        index=index, start_pts=points[0].pts, end_pts=points[-1].pts + 1, frames=len(points), pts_sha256=_hash(points),
        seek_pts=seek_pts,
    )  # fmt: skip


def _hash(points: list[FramePoint]) -> str:
    digest = PtsHash()
    for point in points:
        digest.add(point.pts)
    return digest.hexdigest()


class _Seen:
    """The frames of all places, as far as the file was walked."""

    def __init__(self, *, video: VideoInfo, frames: int, changes: int) -> None:
        self._frames, self._changes = frames, changes
        self._few = frames * _FEW if video.frames <= frames * _FEW else frames
        self._half = video.frames // 2
        self._reach = max(frames, _DECODED_PX // max(1, video.width * video.height))
        self._since = 0
        self.first: list[FramePoint] = []
        self.middle: list[FramePoint] = []
        self.last: deque[FramePoint] = deque(maxlen=frames)
        self.middle_seek: int | None = None
        self.keyframe: int | None = None
        self.changed: list[tuple[list[FramePoint], int | None]] = []
        """The frames where the picture changes, and the keyframe before them."""

    def add(self, number: int, point: FramePoint) -> None:
        self._since += 1
        if len(self.first) < self._few:
            self.first.append(point)
            return
        before = self.keyframe
        if point.is_keyframe:
            self.keyframe, self._since = point.pts, 0
            self.last.clear()
        self._note_change(point, before)
        if number >= self._half and not self.middle and point.is_keyframe:
            self.middle_seek = before
            self.middle.append(point)
        elif 0 < len(self.middle) < self._frames:
            self.middle.append(point)
        elif self._since < self._reach:
            self.last.append(point)

    def _note_change(self, point: FramePoint, before: int | None) -> None:
        if point.is_change and self._since < self._reach and len(self.changed) < self._changes:
            self.changed.append(([point], before))
        elif self.changed and len(self.changed[-1][0]) < FRAMES_AT_CHANGE:
            self.changed[-1][0].append(point)
