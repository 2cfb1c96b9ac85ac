"""A few frames spread over a video, for measuring. Decodes a bounded number of frames, however long the video is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.errors import InputInvalid
from sr_tasks.media.source import open_source, picture_stream, translated
from sr_tasks.records.media import VideoInfo

FRAMES: Final = 8
DECODED_PX: Final = 200_000_000
"""Px to decode at most, all frames together: a second of work or less."""
_MIN_DECODED: Final = 8
_PACKETS: Final = 1000
"""Packets fed at most for one frame, where nothing decodes."""


def spread_frames(path: Path, video: VideoInfo, frames: int = FRAMES) -> Iterator[NDArray[np.float32]]:
    """Luma [H, W] in 8-bit codes, with fractions where the source has more bits, of up to `frames` different frames.

    From each of as many places a decoder goes on from the keyframe before it, the further the later the place: so
    frames at all distances from their keyframes are among them, whether there is one keyframe or many. Raises
    InputInvalid if no frame decodes.
    """
    allowance = max(_MIN_DECODED, DECODED_PX // (frames * video.width * video.height))
    seen: set[int] = set()
    with open_source(path) as container, translated(path):
        stream = picture_stream(container, path)
        stream.codec_context.thread_count = 1
        for place in range(frames):
            target = video.start_pts + (video.end_pts - video.start_pts) * (2 * place + 1) // (2 * frames)
            frame = _frame_near(container, stream, target, max(1, allowance * (place + 1) // frames))
            if frame is not None and frame.pts not in seen:
                seen.add(frame.pts or 0)
                yield luma(frame, video.bit_depth)
    if not seen:
        raise InputInvalid(f"No frame of {path.name} can be decoded.", hint="Check the file in a media player.")


def _frame_near(container: InputContainer, stream: VideoStream, target: int, allowance: int) -> VideoFrame | None:
    """The frame at `target`, or the last before it that decoding `allowance` frames from a keyframe reaches."""
    try:
        container.seek(target, stream=stream, backward=True)
    except av.error.FFmpegError as exc:
        logger.debug("seek to {} failed, reading on: {}", target, exc)
    found: VideoFrame | None = None
    decoded = 0
    for fed, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            frames = []
        for frame in frames:
            if not isinstance(frame, VideoFrame) or frame.is_corrupt:
                continue
            found, decoded = frame, decoded + 1
            if decoded >= allowance or (frame.pts is not None and frame.pts >= target):
                return found
        if fed >= _PACKETS:
            break
    return found


def luma(frame: VideoFrame, bit_depth: int) -> NDArray[np.float32]:
    """The first plane [H, W] of a planar YUV or gray frame, in 8-bit codes."""
    plane = frame.planes[0]
    dtype: np.dtype[np.unsignedinteger[Any]] = np.dtype(np.uint8 if bit_depth == 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), dtype=dtype).reshape(frame.height, plane.line_size // dtype.itemsize)
    codes: NDArray[np.float32] = rows[:, : frame.width].astype(np.float32) / np.float32(1 << (bit_depth - 8))
    return codes
