"""Encoding chunks that are there already anew, with other settings. Reads no source and runs no network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from sr_tasks.errors import IntegrityBroken
from sr_tasks.media.captions import captions_of
from sr_tasks.media.encode import ChunkWriter, open_chunk, read_packets
from sr_tasks.planes.frames import planes_of
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.media import Chunk


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Chunks that follow each other and are encoded together, so that no keyframe is spent between them."""

    index: int
    chunks: tuple[Chunk, ...]

    @property
    def frames(self) -> int:
        return sum(chunk.frames for chunk in self.chunks)


def segments_of(chunks: Sequence[Chunk], least_frames: int) -> list[Segment]:
    """All chunks, in segments of at least that many frames; the last may be shorter."""
    found: list[Segment] = []
    waiting: list[Chunk] = []
    for chunk in chunks:
        waiting.append(chunk)
        if sum(one.frames for one in waiting) >= least_frames:
            found.append(Segment(index=len(found), chunks=tuple(waiting)))
            waiting = []
    if waiting:
        found.append(Segment(index=len(found), chunks=tuple(waiting)))
    return found


@dataclass(frozen=True, kw_only=True)
class Part:
    """The next frames of a segment, which become a file of their own."""

    path: Path
    settings: EncodeSettings
    frames: int


@dataclass(frozen=True, kw_only=True)
class PartFacts:
    """What a part has become."""

    start_pts: int
    frames: int
    picture_bytes: int
    """Of its packets alone."""


def recode(
    segment: Segment, path_of: Callable[[int], Path], parts: Sequence[Part], on_frame: Callable[[], None]
) -> list[PartFacts]:
    """Decode the files of a segment's chunks, by their index, and encode the frames into the files of `parts`, one
    after the other.

    One frame is held at a time. Raises IntegrityBroken if there are other frames than planned, ChunkFailed and
    DiskFull.
    """
    facts: list[PartFacts] = []
    waiting, left, start = list(parts), 0, 0
    writer: ChunkWriter | None = None
    tick = parts[0].settings.time_base
    with ExitStack() as broken_off:
        for frame, pts in _frames(segment, path_of, tick):
            if writer is None or left == 0:
                if not waiting:
                    raise _other_frames(segment)
                part = waiting.pop(0)
                left, start = part.frames, pts
                writer = ChunkWriter(part.path, part.settings, start, part.frames)
                broken_off.callback(writer.abort)
            writer.write(_copied(frame, writer), pts, captions_of(frame))
            on_frame()
            left -= 1
            if left == 0:
                writer.close()
                facts.append(_facts(part, start))
    if waiting or left:
        raise _other_frames(segment)
    return facts


def _frames(segment: Segment, path_of: Callable[[int], Path], tick: Fraction) -> Iterator[tuple[VideoFrame, int]]:
    """Each with its time stamp in ticks of the source."""
    for chunk in segment.chunks:
        with open_chunk(path_of(chunk.index)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                relative = (frame.pts or 0) * (frame.time_base or tick) / tick
                yield frame, round(relative) + chunk.start_pts


def _copied(frame: VideoFrame, writer: ChunkWriter) -> VideoFrame:
    """The samples alone: what else a decoder says of a frame is not for the next encoder."""
    made = writer.new_frame()
    for target, plane in zip(planes_of(made), planes_of(frame), strict=True):
        target[:] = plane
    return made


def _facts(part: Part, start_pts: int) -> PartFacts:
    sizes = [packet.size for packet, _ in read_packets(part.path, part.settings.time_base)]
    return PartFacts(start_pts=start_pts, frames=part.frames, picture_bytes=sum(sizes))


def _other_frames(segment: Segment) -> IntegrityBroken:
    first, last = segment.chunks[0].index, segment.chunks[-1].index
    return IntegrityBroken(
        f"Chunks {first} to {last} do not hold the {segment.frames} frames that were planned.",
        hint="Run the job again.",
    )
