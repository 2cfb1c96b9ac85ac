"""What goes with the pictures inside their stream and is no stream of its own: rows of the plan for it."""

from collections.abc import Iterable
from typing import Literal

from loguru import logger

from sr_tasks.media import captions, views
from sr_tasks.records.containers import TARGETS, loses_siting, stated_view
from sr_tasks.records.media import MediaInfo, StreamPlan, VideoInfo


def rows_beside(
    media: MediaInfo, lost: Iterable[str], suffix: str, codec: str, *, carries_captions: bool
) -> list[StreamPlan]:
    """What becomes of it in an output of that suffix and codec. `lost`: names of what encoders do not write."""
    muxer, video = TARGETS[suffix], media.video
    has_frames = media.picture.deinterlace in ("none", "single")
    rows = []
    for what in lost:
        if what != captions.NAME or not carries_captions:
            rows.append(_row(video, what, "dropped", "the encoder does not write it"))
        elif has_frames:
            rows.append(_row(video, what, "kept", "written into the new picture stream"))
        else:
            rows.append(_row(video, what, "dropped", "the output has other frames than the source"))
    for what in views.named(video.view):
        if what in views.named(stated_view(video.view, muxer)):
            rows.append(_row(video, what, "kept", "the container says it"))
        else:
            rows.append(_row(video, what, "dropped", f"a {suffix} file does not say it"))
    if loses_siting(codec, muxer, video):
        rows.append(_row(video, "chroma location", "dropped", f"{codec} in a {suffix} file does not say it"))
    return rows


def _row(video: VideoInfo, what: str, fate: Literal["kept", "dropped"], reason: str) -> StreamPlan:
    if fate == "dropped":
        logger.warning("the output will not have the source's {}: {}", what, reason)
    return StreamPlan(
        source_index=video.index, output_index=None, type="side data", codec=what, language="", fate=fate, reason=reason
    )
