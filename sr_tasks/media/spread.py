"""A few frames spread over a video, for measuring. Decodes a bounded number of frames, however long the video is."""

from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.demux.source import NOT_DECODED, decoder_of, open_source, picture_stream, translated
from sr_tasks.errors import InputInvalid
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.media.fields import stored_pts
from sr_tasks.media.numbered import frames_near
from sr_tasks.media.present import presented
from sr_tasks.planes.frames import planes_of
from sr_tasks.records.media import UNTOUCHED, PicturePlan, VideoInfo

FRAMES: Final = 8
DECODED_PX: Final = 200_000_000
"""Px to decode at most, all frames together: a second of work or less."""
_MIN_DECODED: Final = 8
_PACKETS: Final = 1000
"""Packets fed at most for one frame, where nothing decodes."""


def spread_frames(
    path: Path, video: VideoInfo, picture: PicturePlan = UNTOUCHED, frames: int = FRAMES
) -> Iterator[NDArray[np.float32]]:
    """Luma [H, W] in 8-bit codes, with fractions where the source has more bits, of up to `frames` different frames.

    They are presented as `picture` says. From each of as many places a decoder goes on from the keyframe before it, the
    further the later the place: so frames at all distances from their keyframes are among them, whether there is one
    keyframe or many. Raises InputInvalid if no frame decodes.
    """
    allowance = max(_MIN_DECODED, DECODED_PX // (frames * video.width * video.height))
    seen: set[int] = set()
    with open_source(path) as container, translated(path):
        stream = picture_stream(container, path, video.index)
        stream.codec_context.thread_count = 1
        for place in range(frames):
            target = video.start_pts + (video.end_pts - video.start_pts) * (2 * place + 1) // (2 * frames)
            stored = stored_pts(target, picture)
            by_number = picture.timeline == "table"
            coming = frames_near(path, picture, stored) if by_number else _decoded(container, stream, stored)
            near = _near(coming, stored, max(1, allowance * (place + 1) // frames))
            item = next(presented(iter(near), picture, near[-2].pts), None) if near else None
            if item is not None and item.pts not in seen:
                seen.add(item.pts)
                yield luma(item.frame, video.bit_depth)
    if not seen:
        raise InputInvalid(f"No frame of {path.name} can be decoded.", hint="Check the file in a media player.")


def _near(coming: Iterator[VideoFrame], target: int, allowance: int) -> list[DecodedFrame]:
    """The frame at `target`, or the last before it that decoding `allowance` frames from a keyframe reaches: the last
    but one, between its neighbours. Where a neighbour is missing, the frame stands in for it."""
    held: deque[DecodedFrame] = deque(maxlen=3)
    found = 0
    for decoded, frame in enumerate(coming, 1):
        held.append(DecodedFrame(pts=frame.pts or 0, frame=frame, is_repeat=False))
        if found:
            return list(held)
        found = decoded >= allowance or held[-1].pts >= target
    return [*held, held[-1]] if held else []


def _decoded(container: InputContainer, stream: VideoStream, target: int) -> Iterator[VideoFrame]:
    """Frames from the keyframe before `target` on."""
    try:
        container.seek(target, stream=stream, backward=True)
    except av.error.FFmpegError as exc:
        logger.debug("seek to {} failed, reading on: {}", target, exc)
    decoder = decoder_of(stream)
    for packet in islice(container.demux(stream), _PACKETS):
        try:
            frames = decoder.decode(packet)
        except NOT_DECODED:
            continue
        for frame in frames:
            if isinstance(frame, VideoFrame) and not frame.is_corrupt:
                yield frame


def luma(frame: VideoFrame, bit_depth: int) -> NDArray[np.float32]:
    """The first plane [H, W] of a frame in a working format, in 8-bit codes."""
    codes: NDArray[np.float32] = planes_of(frame)[0].astype(np.float32) / np.float32(1 << (bit_depth - 8))
    return codes
