"""What a request's source is, what becomes of its streams, and whether anything speaks against the request.

Nothing here writes to a job folder: `validate`, the plan of `probe`, folders of pictures and the launcher all ask here
before any work.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputTooLarge, InputUnsupported, UsageError
from sr_tasks.jobs.spec import AUTO, JobSpec
from sr_tasks.pictures.kinds import format_of, refuse_unread
from sr_tasks.planes.targets import for_codec
from sr_tasks.records.containers import TARGETS
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.media import MediaInfo, ReadOptions, StreamPlan, VideoInfo
from sr_tasks.steps.shared import beside, still
from sr_tasks.steps.shared.choice import Choice, require_possible
from sr_tasks.steps.shared.encoding import carries_captions
from sr_tasks.steps.shared.first_look import Findings, first_look, planned_streams
from sr_tasks.steps.shared.locations import locations
from sr_tasks.steps.shared.sizes import refuse_large_source, refuse_rated_still, refuse_small_disk, refuse_small_rate
from sr_tasks.steps.shared.source import first_bounds
from sr_tasks.storage import transfer
from sr_tasks.storage.transfer import SourceStat
from sr_tasks.storage.uris import LocalFile, Location
from sr_tasks.streams.beside import rows_beside
from sr_tasks.streams.tags import without_private

TABLE: Final = "frames.table"
"""In the job folder: what comes out of a source whose packets do not say it."""
MIN_SIDE_PX: Final = 8


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A request that nothing speaks against, and what its source is."""

    source: Location
    output: Location
    path: Path
    stat: SourceStat
    found: Findings
    fates: tuple[StreamPlan, ...]


def inspect(spec: JobSpec, settings: Settings, scratch: Path, table: Path) -> Inspection:
    """Refuse what can be refused without measuring the source. A remote source is downloaded into `scratch`; a source
    that needs a table of its frames gets it at `table`. Raises InputRefused errors."""
    source, output, stat = _addressed(spec, settings)
    path = transfer.fetch(source, scratch, settings)
    found, fates = inspect_file(spec, path, output.suffix.lower(), settings, table)
    refuse_small_disk(spec, found.media, settings, output)
    return Inspection(source=source, output=output, path=path, stat=stat, found=found, fates=fates)


def inspect_ahead(spec: JobSpec, settings: Settings, table: Path | None = None) -> Inspection | None:
    """`inspect` before there is a job: it downloads nothing, and leaves nothing behind but `table`. None for a remote
    source, of which only its server's facts are checked. Raises InputRefused errors."""
    if not isinstance(locations(spec, settings)[0], LocalFile):
        _addressed(spec, settings)
        return None
    with contextlib.nullcontext(table) if table is not None else temporary_table() as place:
        return inspect(spec, settings, settings.workdir, place)


def _addressed(spec: JobSpec, settings: Settings) -> tuple[Location, Location, SourceStat]:
    source, output = locations(spec, settings)
    require_possible(spec, settings)
    stat = transfer.stat(source, settings)
    refuse_large_source(source, stat.size_bytes, settings)
    for target in (output, *(beside.address(output, name) for name in beside.names(spec))):
        transfer.check_target(target, settings, overwrite=spec.overwrite)
    return source, output, stat


def inspect_file(
    spec: JobSpec, path: Path, suffix: str, settings: Settings, table: Path
) -> tuple[Findings, tuple[StreamPlan, ...]]:
    """What a source is, and what becomes of its streams in an output of that suffix. `table` is where the table of
    frames goes, if the source needs one. Raises InputRefused errors."""
    bounds = first_bounds(path, settings)
    if format_of(path) is not None:
        refuse_rated_still(spec, path.name)
        beside.refuse_beside_still(spec, path.name)
        found, rows = still.looked(spec, path, suffix, bounds, settings.max_pixels)
        _refuse_unfit(spec, found.media, settings)
        refuse_losses(spec, rows)
        return found, rows
    refuse_unread(path)
    if suffix not in TARGETS:
        said = f"{path.name} is no still picture, but the output ends in {suffix}."
        raise UsageError(said, hint=f"Use one of {', '.join(TARGETS)}.")
    found = first_look(
        path, bounds, max_pixels=settings.max_pixels, max_duration_s=settings.max_duration_s, fields=spec.fields,
        options=ReadOptions(fps=spec.fps, program=spec.program), table=table,
    )  # fmt: skip
    media = for_codec(found.media, spec.codec, TARGETS[suffix], strict=spec.strict, wish=spec.pixels)
    media = media.model_copy(update={"metadata": without_private(media.metadata, spec.strip)})
    found = found.model_copy(update={"media": media})
    _refuse_unfit(spec, media, settings)
    planned = planned_streams(path, bounds, media, suffix, spec.codec, spec.strip, spec.sound)
    fates = [_with_pixel_notes(fate, media.video) for fate in planned]
    fates += rows_beside(
        media, found.lost, suffix, spec.codec, carries_captions=carries_captions(spec, media.video.pix_fmt)
    )
    refuse_losses(spec, fates)
    refuse_small_rate(spec, media, fates)
    return found, tuple(fates)


def refuse_losses(spec: JobSpec, fates: Sequence[StreamPlan]) -> None:
    """Raises InputUnsupported if the request is strict and something would not come out as it went in."""
    losses = [row for row in fates if row.fate == "dropped" or (row.target and not row.is_asked)]
    if spec.strict and losses:
        said = "; ".join(
            f"{row.type} {row.source_index} ({row.codec}) would be {row.fate}: {row.reason}" for row in losses
        )
        raise InputUnsupported(
            f"strict was asked for, and not everything would come out as it went in: {said}.",
            hint="Turn strict off, or choose another output (an .mkv file holds most).",
        )


def _with_pixel_notes(fate: StreamPlan, video: VideoInfo) -> StreamPlan:
    """The row of the picture says what becomes of its samples."""
    if fate.fate != "enhanced" or not video.pixel_notes:
        return fate
    return fate.model_copy(update={"reason": "; ".join(filter(None, (fate.reason, *video.pixel_notes)))})


def record_of(inspection: Inspection, choice: Choice) -> SourceRecord:
    """What `validate` leaves, without a rehearsal."""
    found, output = inspection.found, inspection.output
    media = found.media
    if choice.filters:
        picture = media.picture.model_copy(update={"filters": choice.filters})
        media = media.model_copy(update={"picture": picture})
    return SourceRecord(
        uri=inspection.source.uri,
        output_uri=output.uri,
        suffix=output.suffix.lower(),
        local_path=str(inspection.path),
        size_bytes=inspection.stat.size_bytes,
        identity=inspection.stat.identity,
        media=media,
        display_matrix=found.display_matrix,
        mastering_display_hex=found.mastering_display_hex,
        content_light_level_hex=found.content_light_level_hex,
        fates=inspection.fates,
        model=choice.model,
        model_reason=choice.reason,
        level=choice.level,
        degradation=choice.degradation,
    )


def _refuse_unfit(spec: JobSpec, media: MediaInfo, settings: Settings) -> None:
    video = media.video
    if min(video.width, video.height) < MIN_SIDE_PX:
        raise InputUnsupported(f"The picture is {video.width}x{video.height}; at least {MIN_SIDE_PX} px are needed.")
    width, height = spec.output_size(video)
    if width * height > settings.max_output_pixels:
        raise InputTooLarge(
            f"The output would be {width}x{height}, past the limit of {settings.max_output_pixels} pixels.",
            hint="Choose a smaller scale or size, or raise SR_MAX_OUTPUT_PIXELS.",
        )
    if spec.model == AUTO:
        spec.network_scale(video)  # refuses a size that makes no sense
    if media.duration_s > settings.max_duration_s:
        raise InputTooLarge(
            f"The video lasts {media.duration_s:.0f} s; the limit is {settings.max_duration_s:.0f} s.",
            hint="Cut it or raise SR_MAX_DURATION_S.",
        )
