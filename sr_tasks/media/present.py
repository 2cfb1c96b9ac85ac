"""From decoded frames to the frames that a network sees, as `PicturePlan` says. Upscaling and assessment both read a
source through here, so that the same frames are enlarged and compared."""

from collections.abc import Iterator
from dataclasses import dataclass

from av.video.frame import VideoFrame

from sr_tasks.records.media import PicturePlan


@dataclass(frozen=True, kw_only=True)
class DecodedFrame:
    """A frame and the time stamp it is to be shown at. `is_repeat`: its own picture could not be decoded."""

    pts: int
    frame: VideoFrame
    is_repeat: bool


def presented(frames: Iterator[DecodedFrame], plan: PicturePlan) -> Iterator[DecodedFrame]:
    """The frames that the network sees, in order. Without anything in the plan they pass through untouched."""
    del plan
    return frames
