"""What is done about an interlaced source, and what is said of it. Decodes only through `look_at`."""

from pathlib import Path
from typing import Final

from sr_tasks.demux.reading import stored_points
from sr_tasks.demux.scan import PointTally
from sr_tasks.errors import InputUnsupported
from sr_tasks.jobs.form import Fields
from sr_tasks.media.fields import presented_points, ticks
from sr_tasks.media.interlace import INTERLACED, Look, look_at
from sr_tasks.records.media import Deinterlace, MediaInfo, PicturePlan, Repair, VideoInfo

_SMALL_PX: Final = 96
"""A picture with a shorter side than that is interlaced only if it is flagged so: no camera and no broadcast makes such
ones, and fine details that move comb in them too."""
_UPPER_FIRST: Final = frozenset({2, 4})
_NAMES: Final = {"tff": "upper", "bff": "lower"}
_DONE: Final = "Frames that comb are deinterlaced with bwdif, to one frame a {rate}; whole ones stay as they are."


def with_fields(path: Path, media: MediaInfo, wish: Fields) -> MediaInfo:
    """`media` with what is planned for its fields. Raises InputUnsupported if the wish is to refuse and it has any."""
    is_small = min(media.video.width, media.video.height) < _SMALL_PX
    if is_small and not media.video.interlaced:
        return media
    look = look_at(path, media.video, media.picture)
    if not look.is_flagged and not look.combed:
        return media
    deinterlace, rows = planned(look, wish)
    if deinterlace != "none" and wish == "refuse":
        raise InputUnsupported(
            f"{path.name} is interlaced; enlarging its fields as frames would comb.",
            hint="Choose fields single, double or film, or deinterlace it first (bwdif).",
        )
    planned_fields = {
        "deinterlace": deinterlace,
        "field_order": look.order,
        "trust_flags": look.is_flagged and bool(look.combed or not look.whole),
    }
    picture = media.picture.model_copy(update=planned_fields)
    video = _presented(path, media.video, picture)
    repairs = [Repair(kind=kind, count=media.video.frames, what=what) for kind, what in rows.items()]
    return media.model_copy(update={"picture": picture, "video": video, "repairs": (*media.repairs, *repairs)})


def planned(look: Look, wish: Fields) -> tuple[Deinterlace, dict[str, str]]:
    """What is done about what was seen, and what is said of it, by kind."""
    smooth: Deinterlace = "double" if wish == "double" else "single"
    done = _DONE.format(rate="field" if smooth == "double" else "frame")
    if not look.combed and look.whole:
        seen = f"Flagged interlaced, but the frames are whole at {len(look.whole)} of {len(look.places)} places."
        return "none" if wish == "refuse" else "single", {"wrong-field-flags": f"{seen} {_DONE.format(rate='frame')}"}
    if not look.combed:
        return smooth, {"deinterlaced": f"Flagged interlaced, though little moves where it was looked at. {done}"}
    if look.is_telecined and wish == "film":
        return "film", {"telecine-undone": f"{_described(look)} Of every five frames four of film are made."}
    rows = {"deinterlaced": f"{_described(look)} {done}"}
    if look.is_telecined:
        rows["telecine"] = "The pattern of telecine holds: fields `film` gives back the frames of the film."
    elif wish == "film":
        rows["no-telecine"] = "Film was asked for, but no pattern of telecine holds."
    return smooth, rows


def _described(look: Look) -> str:
    parts = ["Film in telecine" if look.is_telecined else "Interlaced"]
    if look.whole:
        parts[0] += " in parts"
    if look.order:
        parts.append(f"{_NAMES[look.order]} field first")
    if not look.is_flagged:
        parts.append("though flagged progressive")
    elif look.order and look.stated in INTERLACED and (look.order == "tff") != (look.stated in _UPPER_FIRST):
        parts.append("though flagged the other way round")
    return ", ".join(parts) + "."


def _presented(path: Path, video: VideoInfo, picture: PicturePlan) -> VideoInfo:
    """`video` as it is after `picture`: its frames and its time base."""
    if ticks(picture) == 1:
        return video.model_copy(update={"interlaced": False})
    tally = PointTally()
    for point in presented_points(stored_points(path, picture), picture):
        tally.add(point)
    return video.model_copy(update={"interlaced": False, **tally.facts(video.tick / ticks(picture))})
