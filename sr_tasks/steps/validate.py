"""Step `validate`: refuses before any expensive work what cannot come out right, and writes down what came in."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import (
    InputTooLarge,
    InputUnsupported,
    TargetExists,
    UsageError,
)
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.naming import OF_ONE_JOB, filled, is_template, template_fields
from sr_tasks.jobs.spec import AUTO, JobSpec
from sr_tasks.pictures.kinds import format_of
from sr_tasks.planes.targets import for_codec
from sr_tasks.records.containers import TARGETS, holds
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.records.media import MediaInfo, ReadOptions, StreamPlan, VideoInfo
from sr_tasks.records.pictures import WRITTEN_SUFFIXES
from sr_tasks.records.purposes import PURPOSES
from sr_tasks.steps.shared import forecast, still
from sr_tasks.steps.shared.choice import Choice, choose, kept, require_possible
from sr_tasks.steps.shared.encoding import carries_captions
from sr_tasks.steps.shared.first_look import Findings, first_look, planned_streams
from sr_tasks.steps.shared.manifest import SIDECARS
from sr_tasks.steps.shared.sizes import (
    refuse_large_source,
    refuse_rated_still,
    refuse_small_disk,
    refuse_small_rate,
    refuse_unreached_rate,
)
from sr_tasks.steps.shared.source import first_bounds
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.transfer import SourceStat
from sr_tasks.storage.uris import LocalFile, Location
from sr_tasks.streams.beside import rows_beside
from sr_tasks.streams.tags import without_private

TABLE = "frames.table"
"""In the job folder: what comes out of a source whose packets do not say it."""
MIN_SIDE_PX = 8
_NAMING = f"The fields are {', '.join(f'{{{name}}}' for name in OF_ONE_JOB)}."


def run(spec: JobSpec, job_id: str, settings: Settings, earlier: "LookedAt | None" = None) -> dict[str, Any]:
    """Check the request and leave `spec` and `source` in a new job folder. Raises InputRefused errors.

    `earlier`: what `check` found for this request a moment ago in the same program; it holds while the file
    has not changed.
    """
    folder = JobFolder(settings.workdir, job_id)
    looked_at = earlier if earlier is not None and _still_holds(earlier, settings) else None
    looked_at = (
        _taken_over(looked_at, folder)
        if looked_at is not None
        else check(
            spec,
            settings,
            fetch=lambda location: transfer.fetch(location, folder.path, settings),
            table=folder.path / TABLE,
        )
    )
    if looked_at is None:
        raise UsageError("The source was not fetched.")
    video = looked_at.found.media.video
    identity = looked_at.stat.identity
    choice = kept(spec, identity, folder) or choose(spec, looked_at.path, looked_at.found.media, job_id, settings)
    logger.info("{}: {}", choice.model, choice.reason)
    # Airflow runs this step again, as the set-up, whenever somebody clears a later one: that one needs the records.
    if _is_again(spec, identity, choice, folder):
        folder.forget("error", "manifest", "delivery", "review")
    else:
        folder.clear()
    record = _rehearsed(spec, record_of(looked_at, choice), folder, settings)
    folder.store_json("job", {"id": job_id})
    folder.store("spec", spec)
    folder.store("source", record)
    said = forecast.forecast(spec, record, settings)
    logger.info("forecast: {}", said)
    folder.store("forecast", said)
    output_width, output_height = spec.output_size(video)
    return {
        "is_still": record.media.still is not None,
        "frames": video.frames,
        "width": video.width,
        "height": video.height,
        "output_width": output_width,
        "output_height": output_height,
        "model": choice.model,
        "model_reason": choice.reason,
        "level": choice.level,
    }


def _still_holds(earlier: "LookedAt", settings: Settings) -> bool:
    return transfer.stat(earlier.source, settings).identity == earlier.stat.identity


def _taken_over(earlier: "LookedAt", folder: JobFolder) -> "LookedAt":
    """What was found, with its table in the job's folder, where later steps look for it."""
    media = earlier.found.media
    if media.picture.timeline == "packets":
        return earlier
    table = folder.path / TABLE
    with replacing(table) as partial:
        shutil.copyfile(media.picture.table, partial)
    media = media.model_copy(update={"picture": media.picture.model_copy(update={"table": str(table)})})
    return replace(earlier, found=earlier.found.model_copy(update={"media": media}))


def _rehearsed(spec: JobSpec, record: SourceRecord, folder: JobFolder, settings: Settings) -> SourceRecord:
    """The record with what a rehearsal found, and with the plan of streams as it left it."""
    if record.media.still is not None:
        return record  # the whole picture takes no longer
    from sr_tasks.steps.rehearsal import rehearse  # loads what compares pictures, which a refused request needs not

    found = rehearse(spec, record, folder.path / "rehearsal", settings)
    refuse_losses(spec, found.fates)
    refuse_unreached_rate(spec, record.media, found)
    return record.model_copy(update={"rehearsal": found, "fates": found.fates})


def _is_again(spec: JobSpec, identity: str, choice: Choice, folder: JobFolder) -> bool:
    """Whether the folder's records are of this very job: same request, same source, same choice of a model."""
    if not folder.has("spec") or not folder.has("source"):
        return False
    source = folder.load("source", SourceRecord)
    return (
        folder.load("spec", JobSpec) == spec
        and source.identity == identity
        and (source.model, source.level, source.media.picture.filters) == (choice.model, choice.level, choice.filters)
    )


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """A request that nothing speaks against, and what its source is."""

    source: Location
    output: Location
    path: Path
    stat: SourceStat
    found: Findings
    fates: tuple[StreamPlan, ...]


def check(
    spec: JobSpec, settings: Settings, fetch: Callable[[Location], Path] | None = None, table: Path | None = None
) -> LookedAt | None:
    """Everything `validate` refuses but what only measuring the source tells, leaving nothing behind but
    `table`, the table of a source that needs one. Without `fetch`, a remote source is looked at only by its server's
    word, and None returned."""
    source, output = locations(spec, settings)
    require_possible(spec, settings)
    stat = transfer.stat(source, settings)
    refuse_large_source(source, stat.size_bytes, settings)
    for target in (output, *(output.with_name(f"{output.name}.{name}") for name in SIDECARS)):
        transfer.check_target(target, settings, overwrite=spec.overwrite)
    if isinstance(source, LocalFile):
        path = source.path
    elif fetch is None:
        return None
    else:
        path = fetch(source)
    with contextlib.nullcontext(table) if table is not None else temporary_table() as place:
        found, fates = looked(spec, path, output.suffix.lower(), settings, place)
    refuse_small_disk(spec, found.media, settings, output)
    return LookedAt(source=source, output=output, path=path, stat=stat, found=found, fates=fates)


def looked(
    spec: JobSpec, path: Path, suffix: str, settings: Settings, table: Path
) -> tuple[Findings, tuple[StreamPlan, ...]]:
    """What a source is, and what becomes of its streams in an output of that suffix. `table` is where the table of
    frames goes, if the source needs one. Raises InputRefused errors."""
    bounds = first_bounds(path, settings)
    if format_of(path) is not None:
        refuse_rated_still(spec, path.name)
        found, rows = still.looked(spec, path, suffix, bounds, settings.max_pixels)
        _refuse_unfit(spec, found.media, settings)
        refuse_losses(spec, rows)
        return found, rows
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


def record_of(looked_at: LookedAt, choice: Choice) -> SourceRecord:
    """What `validate` leaves, without a rehearsal."""
    found, output = looked_at.found, looked_at.output
    media = found.media
    if choice.filters:
        picture = media.picture.model_copy(update={"filters": choice.filters})
        media = media.model_copy(update={"picture": picture})
    return SourceRecord(
        uri=looked_at.source.uri,
        output_uri=output.uri,
        suffix=output.suffix.lower(),
        local_path=str(looked_at.path),
        size_bytes=looked_at.stat.size_bytes,
        identity=looked_at.stat.identity,
        media=media,
        display_matrix=found.display_matrix,
        mastering_display_hex=found.mastering_display_hex,
        content_light_level_hex=found.content_light_level_hex,
        fates=looked_at.fates,
        model=choice.model,
        model_reason=choice.reason,
        level=choice.level,
        degradation=choice.degradation,
    )


def continued(spec: JobSpec, job_id: str, settings: Settings) -> JobSpec:
    """The request with `overwrite` on, if what lies at the target is this very job's own output.

    A run that was killed between delivering and reporting left it there, and must be able to go on.
    """
    folder = JobFolder(settings.workdir, job_id)
    if not folder.has("output"):
        return spec
    _, output = locations(spec, settings)
    record = folder.load("output", OutputRecord)
    if isinstance(output, LocalFile) and output.path.is_file() and sha256_file(output.path) == record.sha256:
        return spec.model_copy(update={"overwrite": True})
    return spec


def locations(spec: JobSpec, settings: Settings) -> tuple[Location, Location]:
    """Source and output of a request. An empty output means beside the source. Raises UriNotAllowed, TargetExists."""
    if not spec.source.strip():
        raise UsageError("No source was given.", hint="Name a video file: a path, file:///... or s3://bucket/key.")
    source = uris.parse(spec.source, settings)
    asked = (spec.output or "").strip()
    output = uris.parse(asked, settings) if asked and not is_template(asked) else _named(spec, source, settings)
    if output == source:
        raise TargetExists(f"The output {output} is the source itself.", hint="Name another output.")
    if output.suffix.lower() not in {*TARGETS, *WRITTEN_SUFFIXES}:
        raise UsageError(
            f"The output {output.name!r} has no suffix of a container or picture that can be written.",
            hint=f"Use one of {', '.join((*TARGETS, *WRITTEN_SUFFIXES))}.",
        )
    return source, output


def _named(spec: JobSpec, source: Location, settings: Settings) -> Location:
    """The output as the request's template says, or beside the source."""
    suffix = PURPOSES[spec.purpose].suffix if spec.purpose in PURPOSES else source.suffix.lower()
    beside = suffix if holds(suffix, spec.codec) else spec.video_codec.suffix
    suffix = still.suffix_beside(source) or beside
    stem = source.name.removesuffix(source.suffix) if source.suffix else source.name
    template = (spec.output or "").strip()
    if not template:
        return source.with_name(f"{stem}_{spec.size_name}{suffix}")
    try:
        unknown = template_fields(template) - set(OF_ONE_JOB)
    except ValueError as exc:
        raise UsageError(f"{exc}.", hint=_NAMING) from exc
    if unknown:
        raise UsageError(f"output {template!r} has an unknown field {min(unknown)!r}.", hint=_NAMING)
    folder = f"{source.path.parent}/" if isinstance(source, LocalFile) else source.uri.removesuffix(source.name)
    if template.lower().startswith("file:"):
        folder, stem = quote(folder), quote(stem)
    return uris.parse(filled(template, spec, folder=folder, stem=stem, suffix=suffix), settings)


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
