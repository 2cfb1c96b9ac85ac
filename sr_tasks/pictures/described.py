"""A picture in the words of records that videos have too: its one frame as the network sees it."""

import hashlib
from pathlib import Path
from typing import Final

from sr_tasks.pictures.samples import layout_of
from sr_tasks.records.colour import BT709, FULL
from sr_tasks.records.media import Chunk, MediaInfo, PicturePlan, StreamInfo, VideoInfo
from sr_tasks.records.pictures import PictureFacts

_UNSPECIFIED: Final = 2
_PTS_SHA256: Final = hashlib.sha256((0).to_bytes(8, "little")).hexdigest()

ONE_CHUNK: Final = Chunk(index=0, start_pts=0, end_pts=1, frames=1, pts_sha256=_PTS_SHA256, seek_pts=None)
"""A picture is computed in one piece."""


def described(path: Path, facts: PictureFacts) -> MediaInfo:
    """The record of a picture. Raises OSError if the file is gone."""
    layout = layout_of(facts)
    video = VideoInfo(
        index=0, codec=facts.format.lower(), width=facts.width, height=facts.height, pix_fmt=layout.pix_fmt,
        bit_depth=layout.bit_depth, chroma=layout.chroma, has_alpha=facts.has_alpha, source_pix_fmt=facts.mode,
        pixel_notes=facts.notes, color_range=FULL, color_primaries=_UNSPECIFIED, color_trc=_UNSPECIFIED,
        colorspace=BT709, chroma_location=0, sample_aspect_ratio="1:1", rotation=0, interlaced=False, time_base="1/1",
        average_rate="1/1", is_vfr=False, frames=1, start_pts=0, end_pts=1, keyframes=1, pts_sha256=_PTS_SHA256,
    )  # fmt: skip
    stream = StreamInfo(
        index=0, type="picture", codec=video.codec, language="", title="", disposition=0, packets=1, start_s=0.0
    )
    return MediaInfo(
        path=str(path), format=video.codec, size_bytes=path.stat().st_size, duration_s=0.0, video=video,
        streams=(stream,), chapters=0, metadata={}, picture=PicturePlan(is_rgb=not facts.is_gray), still=facts,
    )  # fmt: skip
