"""Decoding by number: the frames that a table lists, each with the time stamp that the table gives it. Streams."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger

from sr_tasks.demux.source import NOT_DECODED, decoder_of, has_times, open_source, picture_stream, translated
from sr_tasks.demux.timeline import Row, Timeline
from sr_tasks.errors import InputChanged, InputDamaged
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.records.media import PicturePlan

_FRAME_BYTES_PER_PX: Final = 12
"""More than a frame takes of any kind, with what a decoder keeps beside it."""
_WINDOW: Final = 128
"""Rows in which a decoded frame is looked for."""
_LOOK_AT_PACKETS: Final = 3000
"""Packets read after a seek to find the one that was sought."""


def listed_frames(path: Path, picture: PicturePlan, start: int, seek: int | None) -> Iterator[DecodedFrame]:
    """The frames of a table from time stamp `start` on, and before them those decoded on the way from the keyframe at
    `seek` (None: from the beginning of the file).

    A frame that does not decode is replaced by the one before it. Raises InputChanged if the file is not the one that
    the table was made of, InputDamaged if nothing decodes.
    """
    table = Timeline(Path(picture.table))
    entry = table.at_or_before(seek) if seek is not None else None
    with open_source(path) as container:
        video = picture_stream(container, path, picture.stream)
        packets = _packets_from(container, video, entry) if entry is not None else container.demux(video)
        if packets is not None:
            first = entry.ordinal if entry is not None else 0
            yield from _paired(path, video, _numbered(packets, first), table.rows(seek), start)
            return
    with open_source(path) as container:
        video = picture_stream(container, path, picture.stream)
        yield from _paired(path, video, _numbered(container.demux(video), 0), table.rows(), start)


def frames_near(path: Path, picture: PicturePlan, target: int | None) -> Iterator[VideoFrame]:
    """The frames of a table, with its time stamps, from the keyframe before `target` on; None: from the first."""
    table = Timeline(Path(picture.table))
    entry = None if target is None else table.keyframe_at_or_before(target)
    first = entry or next(table.rows())
    for item in listed_frames(path, picture, first.pts, None if entry is None else entry.pts):
        if not item.is_repeat:
            item.frame.pts = item.pts
            yield item.frame


def frames_of(decoder: VideoCodecContext, packet: "Packet[Any]") -> list[VideoFrame]:
    """The frames that a decoder gives for a packet; one that does not decode gives none and is logged."""
    try:
        return decoder.decode(packet)
    except NOT_DECODED:
        _require_memory(decoder)
        logger.warning("damaged packet at pts {} skipped", packet.pts)
        return []


def _require_memory(decoder: VideoCodecContext) -> None:
    """Raises MemoryError if that is what a decoder lacked: some call what they cannot hold damaged, and a frame that is
    whole must not be left out for it."""
    bytearray(decoder.width * decoder.height * _FRAME_BYTES_PER_PX)


def _numbered(packets: Iterable["Packet[Any]"], first: int) -> Iterator["Packet[Any]"]:
    """Packets with their numbers in place of their times, so that decoded frames carry them."""
    number = first
    for packet in packets:
        if packet.size:
            packet.pts = packet.dts = number
            number += 1
        yield packet


def _paired(
    path: Path, video: VideoStream, packets: Iterator["Packet[Any]"], rows: Iterator[Row], start: int
) -> Iterator[DecodedFrame]:
    """Pair rows with decoded frames, both in the order of display: all from `start` on, and those before it from the
    first that decodes."""
    video.codec_context.thread_count = 1
    decoder = decoder_of(video)
    window = deque(islice(rows, _WINDOW))
    before: VideoFrame | None = None
    with translated(path):
        for frame in (frame for packet in packets for frame in frames_of(decoder, packet)):
            place = next((place for place, row in enumerate(window) if row.ordinal == frame.pts), None)
            if place is None:
                continue
            for row in [window.popleft() for _ in range(place)]:
                if before is not None or row.pts >= start:
                    yield DecodedFrame(pts=row.pts, frame=before or frame, is_repeat=True)
            yield DecodedFrame(pts=window.popleft().pts, frame=frame, is_repeat=False)
            before = frame
            window.extend(islice(rows, _WINDOW - len(window)))
    for row in chain(window, rows):
        if before is None:
            raise InputDamaged(f"No frame of {path.name} can be decoded.", hint="Check the file in a media player.")
        yield DecodedFrame(pts=row.pts, frame=before, is_repeat=True)


def _packets_from(container: InputContainer, video: VideoStream, entry: Row) -> Iterator["Packet[Any]"] | None:
    """Packets from that of `entry` on. None if it is not found: the file has to be read from its beginning.

    Raises InputChanged if there is another packet in its place.
    """
    if entry.pos < 0:
        return None
    for offset, is_byte in _places(container, video, entry):
        try:
            container.seek(offset, stream=video, backward=True, unsupported_byte_offset=is_byte)
            packets = container.demux(video)
            for packet in islice(packets, _LOOK_AT_PACKETS):
                if packet.pos == entry.pos:
                    if packet.size != entry.size:
                        raise InputChanged("The source changed while the job ran.", hint="Start the job again.")
                    return chain([packet], packets)
        except av.error.FFmpegError as exc:
            logger.debug("seek to {} failed: {}", offset, exc)
    return None


def _places(container: InputContainer, video: VideoStream, entry: Row) -> Iterator[tuple[int, bool]]:
    """Where to seek to, one after another: a byte position, where FFmpeg takes one, or a time."""
    if container.format.name in ("mpegts", "mpeg") or not has_times(container):
        yield entry.pos, True
    elif video.time_base is not None and entry.stamp >= 0:
        for back_s in (0, 2, 10, 60):
            yield entry.stamp - int(back_s / video.time_base), False
