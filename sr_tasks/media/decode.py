"""Decoding a chunk: exactly the planned time stamps, in order, whatever the stream's references or damage. Streams.

Packets state the time stamps; the decoder gives the frames. `_Stamps` pairs them: a time stamp for which no frame
comes out is damaged, and the frame before is repeated. Decoding starts at `Chunk.seek_pts`, ahead of the chunk, since
frames may refer to earlier ones and filters need their neighbours. The count and the hash of all time stamps are
compared with the plan at the end. Any change here must give the same frames for a chunk as for the whole file, or the
joined output has seams.
"""

import heapq
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger

from sr_tasks.demux.scan import PtsHash
from sr_tasks.demux.source import decoder_of, open_source, picture_stream, translated
from sr_tasks.errors import InputChanged, InputDamaged
from sr_tasks.media.captions import captions_of
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.media.fields import first_stored, stored_pts
from sr_tasks.media.numbered import frames_of, listed_frames
from sr_tasks.media.present import presented
from sr_tasks.records.media import UNTOUCHED, Chunk, MediaInfo, PicturePlan


@dataclass(kw_only=True)
class ChunkReader:
    """Yields a chunk's frames. After that, `damaged_pts` lists the time stamps whose picture had to be repeated."""

    path: Path
    chunk: Chunk
    picture: PicturePlan = UNTOUCHED
    damaged_pts: list[int] = field(default_factory=list)
    held_bytes: int = 0
    """Bytes of decoded frames that are kept while the chunk is read. A decoder writes further frames into the memory of
    those that were let go; where none is, it takes new memory, all zeros."""

    def frames(self) -> Generator[DecodedFrame, None, None]:
        """The chunk's frames as the network sees them, every planned time stamp once, ascending.

        A frame FFmpeg cannot decode is replaced by the one before it (at the very start: by the first that decodes).
        Raises InputChanged if the file no longer holds the planned time stamps, InputDamaged if nothing decodes.
        """
        start = first_stored(self.chunk, self.picture)
        proof = _Proof(self.chunk)
        captions: deque[tuple[int, bytes]] = deque()
        stored = _noting(self._held(self._stored_frames(start)), captions)
        for item in presented(stored, self.picture, start):
            found = _taken(captions, item.pts)
            if item.pts < self.chunk.start_pts:
                continue
            if item.pts >= self.chunk.end_pts:
                break
            proof.add(item.pts)
            if item.is_repeat:
                self.damaged_pts.append(item.pts)
            yield replace(item, captions=found) if found else item
        proof.require(self.path)

    def _held(self, items: Iterator[DecodedFrame]) -> Iterator[DecodedFrame]:
        held: list[VideoFrame] = []
        left = self.held_bytes
        for item in items:
            if left > 0:
                held.append(item.frame)
                left -= sum(plane.buffer_size for plane in item.frame.planes)
            yield item

    def _stored_frames(self, start: int) -> Iterator[DecodedFrame]:
        """The file's frames from its time stamp `start` on, to its end, and before them those decoded on the way."""
        seek = self.chunk.seek_pts
        if self.picture.timeline == "table":
            seek = None if seek is None else stored_pts(seek, self.picture)
            yield from listed_frames(self.path, self.picture, start, seek)
            return
        with open_source(self.path) as container:
            video = picture_stream(container, self.path, self.picture.stream)
            if seek is None or _seek(container, video, stored_pts(seek, self.picture)):
                yield from self._paired(video, container.demux(video), start)
                return
        with open_source(self.path) as container:
            video = picture_stream(container, self.path, self.picture.stream)
            yield from self._paired(video, container.demux(video), start)

    def _paired(self, video: VideoStream, packets: Iterator["Packet[Any]"], start: int) -> Iterator[DecodedFrame]:
        """Pair time stamps (from packets) with decoded frames (from the decoder), both ascending: all from `start` on,
        and those before it from the first that decodes."""
        video.codec_context.thread_count = 1
        stamps = _Stamps()
        before: VideoFrame | None = None
        with translated(self.path):
            for frame in _decoded(video, packets, stamps):
                if frame.pts is None:
                    before = frame
                    continue
                due = list(stamps.up_to(frame.pts))
                if before is None:
                    due = [pts for pts in due if pts >= min(start, frame.pts)]
                yield from self._repeats((pts for pts in due if pts != frame.pts), before or frame)
                if due and due[-1] == frame.pts:
                    yield DecodedFrame(pts=frame.pts, frame=frame, is_repeat=False)
                before = frame
        yield from self._repeats((pts for pts in stamps.up_to(None) if pts >= start), before)

    def _repeats(self, stamps: Iterable[int], frame: VideoFrame | None) -> Iterator[DecodedFrame]:
        for pts in stamps:
            if frame is None:
                raise InputDamaged(
                    f"No frame of chunk {self.chunk.index} of {self.path.name} can be decoded.",
                    hint="Check the file in a media player.",
                )
            yield DecodedFrame(pts=pts, frame=frame, is_repeat=True)


def _noting(frames: Iterator[DecodedFrame], captions: deque[tuple[int, bytes]]) -> Iterator[DecodedFrame]:
    """The frames, with the captions that they carry put down by time stamp: what is made of a frame carries none."""
    for item in frames:
        if not item.is_repeat and (found := captions_of(item.frame)):
            captions.append((item.pts, found))
        yield item


def _taken(captions: deque[tuple[int, bytes]], pts: int) -> bytes:
    """Those of a time stamp; those before it are let go."""
    while captions and captions[0][0] < pts:
        captions.popleft()
    return captions.popleft()[1] if captions and captions[0][0] == pts else b""


def whole(media: MediaInfo) -> Chunk:
    """One chunk that holds all frames of a source."""
    video = media.video
    return Chunk(
        index=0, start_pts=video.start_pts, end_pts=video.end_pts, frames=video.frames, pts_sha256=video.pts_sha256,
        seek_pts=None,
    )  # fmt: skip


class _Stamps:
    """Time stamps as the packets announce them, handed out in ascending order."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def note(self, packet: "Packet[Any]") -> None:
        if packet.pts is not None:
            heapq.heappush(self._waiting, packet.pts)

    def up_to(self, pts: int | None) -> Iterator[int]:
        """Those not later than `pts`; None: all."""
        while self._waiting and (pts is None or self._waiting[0] <= pts):
            yield heapq.heappop(self._waiting)


class _Proof:
    """That a chunk's time stamps are the planned ones."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._hash = PtsHash()
        self._count = 0

    def add(self, pts: int) -> None:
        self._hash.add(pts)
        self._count += 1

    def require(self, path: Path) -> None:
        if self._count != self._chunk.frames or self._hash.hexdigest() != self._chunk.pts_sha256:
            raise InputChanged(
                f"Chunk {self._chunk.index} of {path.name} holds {self._count} frames with other time stamps than the "
                f"{self._chunk.frames} planned.",
                hint="The source changed while the job ran; start the job again.",
            )


def _decoded(video: VideoStream, packets: Iterator["Packet[Any]"], stamps: _Stamps) -> Iterator[VideoFrame]:
    """Frames of the packets in presentation order."""
    decoder = decoder_of(video)
    for packet in packets:
        if packet.size and not packet.is_discard:
            stamps.note(packet)
        yield from frames_of(decoder, packet)


def _seek(container: InputContainer, video: VideoStream, target: int) -> bool:
    """Place the container so that the first keyframe read is at or before `target`. False: reopen the file instead."""
    tick = video.time_base
    if tick is None:
        return False
    for back_s in (0, 2, 10, 60):
        offset = target - int(back_s / tick)
        try:
            container.seek(offset, stream=video, backward=True)
            first = next((p for p in container.demux(video) if p.size and p.is_keyframe), None)
            if first is not None and first.pts is not None and first.pts <= target:
                container.seek(offset, stream=video, backward=True)
                video.codec_context.flush_buffers()
                return True
        except av.error.FFmpegError as exc:
            logger.debug("seek to {} failed: {}", offset, exc)
    return False
