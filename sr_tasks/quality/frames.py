"""The decoding door of this room: frames of a file as plain arrays, in order, a few at a time. Writes nothing."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.error
from av.video.frame import VideoFrame

from sr_tasks.demux.source import open_source
from sr_tasks.media.decode import ChunkReader, whole
from sr_tasks.planes.arrays import Plane
from sr_tasks.planes.frames import planes_of
from sr_tasks.records.media import Chunk, MediaInfo

_AHEAD = 3
"""Decoded frames that wait for the comparison: enough to even out I and B frames, small at 8K."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A decoded frame: luma, then both chroma planes (absent for gray), and what the decoder said of it."""

    pts: int
    planes: tuple[Plane, ...]
    bit_depth: int
    is_corrupt: bool = False
    is_missing: bool = False
    """The decoder gave no frame at this time stamp: the planes are those of the nearest earlier frame."""


@dataclass(kw_only=True)
class DecodeTally:
    """What happened while a file was decoded to its end."""

    frames: int = 0
    corrupt_frames: int = 0
    errors: list[str] = field(default_factory=list)
    """The first few, in FFmpeg's words."""
    error_count: int = 0

    def note(self, error: av.error.FFmpegError) -> None:
        self.error_count += 1
        if len(self.errors) < 5:
            self.errors.append(error.strerror or str(error))


def decoded(path: Path, stream_index: int, threads: int, tally: DecodeTally) -> Iterator[Frame]:
    """Yield every frame of a stream in presentation order, going on behind damage; `tally` is filled on the way.

    Raises InputInvalid if the file cannot be opened, InputUnsupported for a pixel format without separate planes.
    """
    with open_source(path) as container:
        stream = container.streams[stream_index]
        stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"
        stream.codec_context.thread_count = threads
        packets = container.demux(stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except av.error.FFmpegError as exc:
                tally.note(exc)
                continue
            for frame in frames:
                if isinstance(frame, VideoFrame) and frame.pts is not None:
                    tally.frames += 1
                    tally.corrupt_frames += frame.is_corrupt
                    yield Frame(
                        pts=frame.pts,
                        planes=planes_of(frame)[:3],
                        bit_depth=frame.format.components[0].bits,
                        is_corrupt=frame.is_corrupt,
                    )


def source_frames(path: Path, media: MediaInfo, places: Sequence[Chunk] = ()) -> Iterator[Frame]:
    """Every frame of a source as the network saw it, in order; one that does not decode repeats the one before.

    With `places` their frames alone. Raises what `ChunkReader.frames` raises.
    """
    for chunk in places or [whole(media)]:
        for item in ChunkReader(path=path, chunk=chunk, picture=media.picture).frames():
            yield Frame(
                pts=item.pts,
                planes=planes_of(item.frame)[:3],
                bit_depth=item.frame.format.components[0].bits,
                is_corrupt=item.is_corrupt or item.frame.is_corrupt,
                is_missing=item.is_repeat,
            )


def with_missing(frames: Iterator[Frame], missing_pts: frozenset[int]) -> Generator[Frame]:
    """Put the frames the source's decoder leaves out back in, in order of time stamps, as repeats of the one before.

    What is missing before the first frame repeats that first frame. A frame that does decode here although its time
    stamp is among the missing is replaced as well, since the output was made without it.
    """
    waiting = sorted(missing_pts, reverse=True)
    last: Frame | None = None
    for frame in frames:
        while waiting and waiting[-1] < frame.pts:
            yield _repeat(last or frame, waiting.pop())
        if waiting and waiting[-1] == frame.pts:
            waiting.pop()
            frame = _repeat(last or frame, frame.pts)
        yield frame
        last = frame
    while waiting and last is not None:
        yield _repeat(last, waiting.pop())


def _repeat(frame: Frame, pts: int) -> Frame:
    return Frame(pts=pts, planes=frame.planes, bit_depth=frame.bit_depth, is_missing=True)


def prefetched(frames: Iterator[Frame]) -> Generator[Frame]:
    """The same frames, decoded in a thread of their own, at most `_AHEAD` of them ahead."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="assess-decode") as pool:
        waiting = deque(pool.submit(next, frames, None) for _ in range(_AHEAD))
        try:
            while (frame := waiting.popleft().result()) is not None:
                waiting.append(pool.submit(next, frames, None))
                yield frame
        finally:
            pool.shutdown(cancel_futures=True)
