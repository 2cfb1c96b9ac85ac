"""Colour and HDR facts of a picture stream: what FFmpeg reads of them, what gets lost, and what cannot be right."""

import re
from typing import Final

from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from sr_tasks.demux.described import stream_description
from sr_tasks.errors import InputUnsupported
from sr_tasks.media import captions, views
from sr_tasks.media.side_data import side_data_of
from sr_tasks.records.colour import FULL, UNSPECIFIED
from sr_tasks.records.media import Repair

_CHROMA_LOCATIONS: Final = {"left": 1, "center": 2, "topleft": 3, "top": 4, "bottomleft": 5, "bottom": 6}
_DOLBY_VISION: Final = "Dolby Vision metadata"
_LOST_SIDE_DATA: Final = {
    SideDataType.A53_CC: captions.NAME,
    SideDataType.DYNAMIC_HDR_PLUS: "HDR10+ dynamic metadata",
    SideDataType.DOVI_METADATA: _DOLBY_VISION,
    SideDataType.DOVI_RPU_BUFFER: _DOLBY_VISION,
}
"""What frames may carry that an encoder of ours does not write: said in the stream table, not passed over."""
_RECORD: Final = re.compile(r"DOVI configuration record: .*?profile: (\d+),.*?compatibility id: (\d+)")
_NAMES: Final = {"range": ColorRange, "matrix": Colorspace, "primaries": ColorPrimaries, "transfer": ColorTrc}
_OWN_COLOURS: Final = frozenset({5, 10, 20})
"""Profiles of Dolby Vision that may come without a picture in usual colours; compatibility id 0 then says so."""


def lost_side_data(frame: VideoFrame) -> set[str]:
    """Names of what a frame carries beside its pixels that does not survive a new encode."""
    lost = {name for kind, name in _LOST_SIDE_DATA.items() if side_data_of(frame, kind)}
    return lost | views.not_held(frame)


def chroma_location(container: InputContainer, video: VideoStream) -> int:
    """AVChromaLocation. PyAV does not expose the field; FFmpeg's own description of the stream does name it."""
    inside = re.search(
        r"(?:yuv[aj]?\d\d\dp|nv\d\d|p0\d\d)\w*\(([^)]*)\)",
        stream_description(container, video.index).partition("\n")[0],
    )
    for word in inside[1].split(",") if inside else ():
        if word.strip() in _CHROMA_LOCATIONS:
            return _CHROMA_LOCATIONS[word.strip()]
    return 0


def tags_of(holder: VideoFrame | VideoCodecContext) -> dict[str, int]:
    """Colour tags by name, FFmpeg's numbers, without those that say nothing."""
    said = {
        "range": int(holder.color_range or 0), "matrix": int(holder.colorspace or 0),
        "primaries": int(holder.color_primaries or 0), "transfer": int(holder.color_trc or 0),
    }  # fmt: skip
    return {name: tag for name, tag in said.items() if tag and (name == "range" or tag != UNSPECIFIED)}


def contradictions(container: dict[str, int], pictures: dict[str, int]) -> tuple[Repair, ...]:
    """Tags that a container says otherwise than its pictures do."""
    names = [name for name in container if name in pictures and container[name] != pictures[name]]
    if not names:
        return ()
    one, other = (", ".join(f"{name} {_name(name, tags[name])}" for name in names) for tags in (container, pictures))
    what = f"the container says {one}; the pictures say {other}, and were believed"
    return (Repair(kind="contradicting-tags", count=len(names), what=what),)


def _name(kind: str, tag: int) -> str:
    try:
        return _NAMES[kind](tag).name
    except ValueError:
        return str(tag)


def refuse_own_colours(container: InputContainer, video: VideoStream, frame: VideoFrame) -> None:
    """Raises InputUnsupported for Dolby Vision whose picture has colours of its own: it is right only with metadata
    that follows the picture at its own size, and no encoder of ours writes it.

    Where the container has no record of Dolby Vision, metadata in a frame that names no transfer and has full range
    tells the same.
    """
    record = _RECORD.search(stream_description(container, video.index))
    if record is not None:
        profile, compatibility = int(record[1]), int(record[2])
        has_own = profile in _OWN_COLOURS and compatibility == 0
        name = f"Dolby Vision profile {profile}"
    else:
        has_own = (
            _DOLBY_VISION in lost_side_data(frame)
            and int(frame.color_range) == FULL
            and int(frame.color_trc) == UNSPECIFIED
        )
        name = "Dolby Vision"
    if has_own:
        raise InputUnsupported(
            f"The picture is in {name}, in colours of its own (compatibility id 0): without its metadata, which an "
            "enlarged picture cannot keep, they would be wrong.",
            hint="Convert it to HDR10 or SDR first, with a program that knows Dolby Vision (libplacebo does).",
        )
