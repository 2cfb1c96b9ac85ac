"""From decoded frames to the frames that a network sees, as `PicturePlan` says. Upscaling and assessment both read a
source through here, so that the same frames are enlarged and compared."""

from collections.abc import Iterator

from sr_tasks.media.conform import conformed
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.media.fields import deinterlaced
from sr_tasks.media.filtering import filtered
from sr_tasks.records.media import PicturePlan


def presented(frames: Iterator[DecodedFrame], plan: PicturePlan, start_pts: int) -> Iterator[DecodedFrame]:
    """The frames that the network sees, in order. Without anything in the plan they pass through untouched.

    `frames` are those of the file, with its time stamps. Those before `start_pts` are context: what a frame looks like
    may depend on its neighbours. They are not among the answers.
    """
    if plan.deinterlace != "none":
        shown = deinterlaced(frames, plan, start_pts)
    else:
        shown = (item for item in frames if item.pts >= start_pts)
    return filtered(conformed(shown, plan), plan.filters)
