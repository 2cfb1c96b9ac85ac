"""A decoded frame on its way to the network. Data alone."""

from dataclasses import dataclass

from av.video.frame import VideoFrame


@dataclass(frozen=True, kw_only=True)
class DecodedFrame:
    """A frame and the time stamp it is to be shown at. `is_repeat`: its own picture could not be decoded."""

    pts: int
    frame: VideoFrame
    is_repeat: bool
