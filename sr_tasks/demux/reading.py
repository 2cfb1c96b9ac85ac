"""How a source is read: as its packets say, where they say what is shown when, else by a table of what comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, NamedTuple

from av.container import InputContainer
from av.video.stream import VideoStream

from sr_tasks.demux import timeline
from sr_tasks.demux.changes import Look
from sr_tasks.demux.described import programs
from sr_tasks.demux.listing import FITTED, Listing
from sr_tasks.demux.listing import Times as Source
from sr_tasks.demux.scan import MPEG_VIDEO, FramePoint, PointTally, Scan, StreamTally
from sr_tasks.demux.source import ATTACHED_PIC, has_times, open_source, picture_stream
from sr_tasks.demux.timeline import Timeline
from sr_tasks.errors import InputInvalid, InputUnsupported, UsageError
from sr_tasks.records.media import PicturePlan, ReadOptions, Repair
from sr_tasks.storage.atomic import replacing

DEFAULT_RATE: Final = Fraction(25)
_FASTEST: Final = 300
"""Frames a second; what headers say beyond is the resolution of a clock."""


class Shown(NamedTuple):
    """What decoding the first frames told."""

    first_pts: int | None
    """Of the first frame that came out."""
    is_broken: bool
    """A packet before it does not decode."""
    look: Look


@dataclass(frozen=True, kw_only=True)
class Times:
    """When a source's pictures are shown, and how that is read."""

    picture: PicturePlan
    facts: dict[str, Any]
    """Fields of VideoInfo that say when frames are shown."""
    tallies: dict[int, StreamTally]
    repairs: tuple[Repair, ...]


def stored_points(path: Path, picture: PicturePlan) -> Iterator[FramePoint]:
    """The frames of the file in the order they are shown, before fields are made frames.

    Raises InputUnsupported if `picture` says that the packets tell, and they do not.
    """
    if picture.timeline == "table":
        yield from timeline.points(Timeline(Path(picture.table)).rows())
        return
    with open_source(path) as container:
        scan = Scan(container=container, video=picture_stream(container, path, picture.stream), path=path)
        yield from scan.points()
        scan.require_regular()


def chosen_stream(container: InputContainer, path: Path, options: ReadOptions) -> int | None:
    """Index of the picture stream of the programme that is asked for, or of the first; None in a file without.

    Raises UsageError for a programme that is not there.
    """
    found = programs(container)
    if options.program is not None and options.program not in found:
        there = f"It has {', '.join(map(str, found))}." if found else "It has no programmes."
        raise UsageError(f"{path.name} has no programme {options.program}.", hint=there)
    numbers = found if options.program is None else [options.program]
    for number in numbers:
        for stream in container.streams.video:
            if stream.index in found[number] and not stream.disposition & ATTACHED_PIC:
                return stream.index
    if options.program is not None:
        raise InputInvalid(f"Programme {options.program} of {path.name} has no picture.", hint="Choose another.")
    return None


def read_times(path: Path, options: ReadOptions, shown: Shown, table: Path | None) -> Times:
    """Walk the file once and, if its packets do not say what is shown when, decode it once and write `table`.

    Without a `table`, frames that packets announce and that do not come out count as damaged. Raises InputRefused
    errors for what cannot be read, and for a source whose packets' times do not tell, if there is no `table`.
    """
    tally = PointTally()
    with open_source(path) as container:
        video = picture_stream(container, path, chosen_stream(container, path, options))
        scan = Scan(container=container, video=video, path=path, first=shown.look)
        for point in scan.points():
            tally.add(point)
        if tally.frames == 0:
            raise InputInvalid(f"{path.name} holds no frame.", hint="Check the file in a media player.")
        needs_table = scan.irregular or (table is not None and _may_mislead(scan, shown, tally))
        if options.fps is not None and has_times(container):
            raise UsageError(f"{path.name} has times of its own; fps={options.fps} is for sources without.")
        picture = PicturePlan(stream=video.index, program=options.program)
        if not needs_table and video.time_base is not None:
            return Times(
                picture=picture,
                facts=tally.facts(video.time_base),
                tallies=scan.tallies,
                repairs=_seen(scan, is_listed=False),
            )
        if table is None:
            scan.require_regular()
            raise InputUnsupported(f"{path.name} has no time base.", hint="Remux it to .mkv or .mp4 first.")
    return _listed(path, picture, scan, options, table)


def _may_mislead(scan: Scan, shown: Shown, tally: PointTally) -> bool:
    """Whether frames that packets announce may not come out."""
    has_lead_in = shown.first_pts is not None and shown.first_pts > tally.start_pts and not shown.is_broken
    return has_lead_in or not scan.begins_at_keyframe


def _seen(scan: Scan, *, is_listed: bool) -> tuple[Repair, ...]:
    """What walking the packets told. A listing tells of hidden frames itself."""
    repairs = []
    if scan.hidden and not is_listed:
        what = f"{scan.hidden} frames are hidden by the edit list, and were left out as players do"
        repairs.append(Repair(kind="hidden-frames", count=scan.hidden, what=what))
    if scan.fitted and not is_listed:
        kind, what = FITTED
        repairs.append(Repair(kind=kind, count=scan.fitted, what=what.format(scan.fitted)))
    if scan.broken_sound:
        what = f"{scan.broken_sound} packets of sound are not whole, and were left out as players do"
        repairs.append(Repair(kind="broken-sound", count=scan.broken_sound, what=what))
    return tuple(repairs)


def _listed(path: Path, picture: PicturePlan, scan: Scan, options: ReadOptions, table: Path) -> Times:
    """Decode the picture stream once, and write the table."""
    with open_source(path) as container:
        video = picture_stream(container, path, picture.stream)
        source, tick, step = _source_of_times(container, video, scan, options)
        listing = Listing(
            container=container, video=video, path=path, times=source, step=step, clock=scan.clock.parts()
        )
        tally = PointTally()
        with replacing(table) as partial, partial.open("wb") as target:
            for row in timeline.write(target, listing.rows()):
                tally.add(FramePoint(pts=row.pts, duration=step, is_keyframe=bool(row.flags & timeline.KEYFRAME)))
        if tally.frames == 0:
            raise InputInvalid(f"No frame of {path.name} can be decoded.", hint="Check the file in a media player.")
    rate = str(1 / (step * tick)) if source == "count" else ""
    update = {"timeline": "table", "table": str(table), "clock": scan.clock.parts(), "frame_rate": rate}
    repairs = (*_stated(video, rate, options), *listing.repairs(), *_seen(scan, is_listed=True))
    return Times(
        picture=picture.model_copy(update=update), facts=tally.facts(tick), tallies=scan.tallies, repairs=repairs
    )


def _source_of_times(
    container: InputContainer, video: VideoStream, scan: Scan, options: ReadOptions
) -> tuple[Source, Fraction, int]:
    """Where stamps come from, the seconds of a tick, and the ticks of a frame."""
    tick = video.time_base
    if tick is not None and scan.has_stamps and has_times(container):
        usual = video.guessed_rate or video.average_rate or DEFAULT_RATE
        step = scan.duration or max(1, round(1 / (usual * tick)))
        return "order" if container.format.name == "avi" else "own", tick, step
    rate = Fraction(options.fps) if options.fps else _stated_rate(video) or DEFAULT_RATE
    # Film in MPEG video says of frames that they are shown for three fields.
    step = 2 if video.codec_context.name in MPEG_VIDEO else 1
    return "count", 1 / (rate * step), step


def _stated_rate(video: VideoStream) -> Fraction | None:
    """Frames a second as the headers inside the stream say."""
    rate = video.codec_context.framerate
    return rate if rate and rate <= _FASTEST else None


def _stated(video: VideoStream, rate: str, options: ReadOptions) -> tuple[Repair, ...]:
    if not rate:
        return ()
    where = (
        "as asked for" if options.fps else "as its headers say" if _stated_rate(video) else "as nothing says another"
    )
    return (Repair(kind="no-times", count=1, what=f"the source has no times: {rate} frames a second, {where}"),)
