"""A still picture on its way through the steps of a job: looked at, enlarged into a file, compared."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sr_tasks.config import Settings
from sr_tasks.graphs.runtime import Session
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.pictures.described import described
from sr_tasks.pictures.fates import planned, target_format
from sr_tasks.pictures.kinds import format_of
from sr_tasks.pictures.proof import prove
from sr_tasks.pictures.reading import facts_of, read
from sr_tasks.pictures.samples import alike, enlarge, planes_of
from sr_tasks.pictures.writing import write
from sr_tasks.quality.pictures import Album
from sr_tasks.quality.still import assess_still
from sr_tasks.records.assessment import Assessment, IntegrityReport
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.records.pictures import (
    FALLBACK_SUFFIX,
    PICTURE_FORMATS,
    PICTURE_SUFFIXES,
    WRITTEN_SUFFIXES,
    PictureFacts,
    PictureTarget,
)
from sr_tasks.records.sizes import Size
from sr_tasks.steps.shared.confined import Bounds, confined
from sr_tasks.steps.shared.first_look import Findings
from sr_tasks.steps.shared.source import first_bounds
from sr_tasks.storage.uris import LocalFile, Location


class _Look(BaseModel):
    facts: PictureFacts


def suffix_beside(source: Location) -> str | None:
    """Suffix of the output beside a still picture: its own, `.png` where its format is not written. None for what is no
    picture: the bytes of a local file say so, the name of a remote one."""
    own = source.suffix.lower()
    if not isinstance(source, LocalFile):
        is_picture = own in PICTURE_SUFFIXES and own not in PICTURE_FORMATS["GIF"].suffixes
        return (own if own in WRITTEN_SUFFIXES else FALLBACK_SUFFIX) if is_picture else None
    name = format_of(source.path) if source.path.is_file() else None
    if name is None:
        return None
    row = PICTURE_FORMATS[name]
    if not row.is_written:
        return FALLBACK_SUFFIX
    return own if own in row.suffixes else row.suffixes[0]


def looked(
    spec: JobSpec, path: Path, suffix: str, bounds: Bounds, max_pixels: int
) -> tuple[Findings, tuple[StreamPlan, ...]]:
    """What a picture is, once a process of its own has decoded it, and what becomes of all that it holds in an output
    of that suffix. Raises UsageError, InputRefused errors, and what `confined` raises."""

    def look() -> _Look:
        facts = facts_of(path, max_pixels=max_pixels)
        target_format(path.name, facts, suffix, spec.output_size(described(path, facts).video))
        read(path)
        return _Look(facts=facts)

    facts = confined(look, _Look, path, bounds).facts
    media = described(path, facts)
    found = Findings(media=media, display_matrix=None, mastering_display_hex="", content_light_level_hex="", lost=())
    return found, planned(facts, target_format(path.name, facts, suffix, spec.output_size(media.video)), spec.strip)


def facts_within(path: Path, settings: Settings) -> PictureFacts:
    """What a picture is, by a process of its own that decodes it. Raises InputRefused errors and what `confined`
    raises."""

    def look() -> _Look:
        facts = facts_of(path, max_pixels=settings.max_pixels)
        read(path)
        return _Look(facts=facts)

    return confined(look, _Look, path, first_bounds(path, settings)).facts


def luma_of(path: Path) -> NDArray[np.float32]:
    """Luma [rows, columns] of a picture in 8-bit codes."""
    facts, picture = read(path)
    luma = planes_of(picture)[0]
    bits = 8 * picture.samples.dtype.itemsize if facts.is_gray else (10 if facts.working_bits == 8 else 16)
    return luma.astype(np.float32) / np.float32(2 ** (bits - 8))


def target_of(spec: JobSpec, source: SourceRecord) -> PictureTarget | None:
    """What an output picture is written as; None for a video."""
    return None if source.media.still is None else _target(spec, source, source.media.still)


def _target(spec: JobSpec, source: SourceRecord, facts: PictureFacts) -> PictureTarget:
    return PictureTarget(
        format=WRITTEN_SUFFIXES[source.suffix], strip=spec.strip, subsampling=facts.subsampling or "4:4:4"
    )


def enlarged_into(path: Path, source: SourceRecord, spec: JobSpec, session: Session) -> dict[str, Any]:
    """Write the enlarged picture to `path`, and return the marker of its chunk. Raises what `write` raises."""
    started = time.monotonic()
    facts, picture = read(Path(source.local_path))
    target = _target(spec, source, facts)
    large, _, _ = enlarge(picture, lambda planes: session.infer((planes,)))
    write(large, path, target.format, strip=spec.strip, subsampling=target.subsampling)
    seconds = round(time.monotonic() - started, 3)
    return {"frames": 1, "seconds": seconds, "damaged_pts": [], "reorder_depth": 0}


def compare(
    source: SourceRecord, output: Path, spec: JobSpec, album: Album | None, *, is_stylised: bool
) -> tuple[Assessment, IntegrityReport, MediaInfo]:
    """Assess the written picture against its source and prove the rest, both decoded once. Raises InputInvalid if the
    output does not decode."""
    path, size = Path(source.local_path), spec.output_size(source.media.video)
    return compare_files(path, output, target_of(spec, source), size, album, is_stylised=is_stylised)


def compare_files(
    path: Path, output: Path, target: PictureTarget | None, size: Size, album: Album | None = None, *,
    is_stylised: bool,
) -> tuple[Assessment, IntegrityReport, MediaInfo]:  # fmt: skip
    """The same of any two pictures. `size`: what the output was to have. Without a `target`, the output's own format
    counts as right."""
    facts, before = read(path)
    written, after = read(output)
    meant = target or PictureTarget(format=written.format, strip="nothing", subsampling=facts.subsampling or "4:4:4")
    proof = prove(facts, before, written, after, meant, size)
    planes, video = planes_of(alike(after, before)), described(path, facts).video
    assessment = assess_still(planes_of(before), planes, video, album, is_stylised=is_stylised)
    return assessment, proof, described(output, written)
