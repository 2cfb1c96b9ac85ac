"""Chunks: half-open ranges of time stamps that cover every frame once, cut at keyframes. Plans; decodes nothing."""

from collections.abc import Iterator
from pathlib import Path

from sr_tasks.demux.reading import stored_points
from sr_tasks.demux.scan import FramePoint, PtsHash
from sr_tasks.media.fields import presented_points
from sr_tasks.records.media import UNTOUCHED, Chunk, PicturePlan

MAX_CHUNKS = 1000
"""Airflow maps a task over at most 1024 items."""


def plan_chunks(path: Path, *, target_frames: int, total_frames: int, picture: PicturePlan = UNTOUCHED) -> list[Chunk]:
    """Cut a file at keyframes into chunks of at least `target_frames` frames (the last may be shorter).

    Two chunks at least that long come out only if a keyframe lies between them: a file without keyframes is one chunk.
    """
    target = max(1, target_frames, -(-total_frames // MAX_CHUNKS))
    return list(cut(points_of(path, picture), target))


def points_of(path: Path, picture: PicturePlan) -> Iterator[FramePoint]:
    """All frames of a source as the network sees them, in the order they are shown."""
    return presented_points(stored_points(path, picture), picture)


def cut(points: Iterator[FramePoint], target: int) -> Iterator[Chunk]:
    """Chunks of at least `target` frames, the last one maybe shorter; each begins at a keyframe."""
    index = count = start = end = 0
    digest = PtsHash()
    seek: int | None = None
    keyframes: tuple[int | None, int | None] = (None, None)
    for point in points:
        if point.is_keyframe and count >= target:
            yield _chunk(index, start, point.pts, count, digest, seek)
            index, count, digest, seek = index + 1, 0, PtsHash(), keyframes[1]
        if point.is_keyframe:
            keyframes = (keyframes[1], point.pts)
        if count == 0:
            start = point.pts
        count += 1
        digest.add(point.pts)
        end = point.pts + 1
    if count:
        yield _chunk(index, start, end, count, digest, seek)


def _chunk(index: int, start: int, end: int, frames: int, digest: PtsHash, seek: int | None) -> Chunk:
    return Chunk(index=index, start_pts=start, end_pts=end, frames=frames, pts_sha256=digest.hexdigest(), seek_pts=seek)
