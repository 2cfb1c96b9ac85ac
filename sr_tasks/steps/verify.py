"""`verify`: the assessment and the gate for any output and its source, without a job."""

import dataclasses
from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputUnsupported
from sr_tasks.media.probe import glance, probe
from sr_tasks.pictures.described import described
from sr_tasks.pictures.kinds import format_of
from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import Assessment, Decision, IntegrityReport
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.records.sizes import Size
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import still
from sr_tasks.steps.shared.comparison import compare, figures
from sr_tasks.storage import transfer, uris
from sr_tasks.streams.plan import plan_streams
from sr_tasks.telemetry.progress import Progress

_SHAPE_PX = 2
"""Sides are even numbers: a picture that was fitted into a size may be that much off its shape."""


def verify(source_text: str, output_text: str, model: str, settings: Settings, observer: Progress) -> dict[str, Any]:
    """Verdict, findings and figures; `exit_code` is 0 if it passed, else 4. Raises InputRefused errors."""
    source, output = _local(source_text, settings), _local(output_text, settings)
    entry = Registry.of(settings).get(model)
    stills = [format_of(path) is not None for path in (source, output)]
    if any(stills) and not all(stills):
        raise InputUnsupported(
            f"Of {source.name} and {output.name} one is a still picture and one is not.",
            hint="Compare an output with the very source it was made of.",
        )
    if all(stills):
        return _verified_still(source, output, entry, settings)
    with temporary_table() as table:
        return _verified(source, output, table, entry, settings, observer)


def _verified_still(source: Path, output: Path, entry: ModelEntry, settings: Settings) -> dict[str, Any]:
    bounds = dataclasses.replace(settings, max_pixels=max(settings.max_pixels, settings.max_output_pixels))
    facts = [described(path, still.facts_within(path, bounds)) for path in (source, output)]
    is_stylised, size = entry.card.kind == "style", _size(*facts)
    assessment, proof, _ = still.compare_files(source, output, None, size, is_stylised=is_stylised)
    return _told(assessment, proof, entry)


def _verified(
    source: Path, output: Path, table: Path, entry: ModelEntry, settings: Settings, observer: Progress
) -> dict[str, Any]:
    source_info, output_info = probe(source, table=table), probe(output)
    size = _size(source_info, output_info)
    fates = _fates(source, output, source_info, output_info)
    assessment, proof, _ = compare(
        source, output, source_info, size, fates, frozenset(), settings, observer,
        is_stylised=entry.card.kind == "style",
    )  # fmt: skip
    return _told(assessment, proof, entry)


def _told(assessment: Assessment, proof: IntegrityReport, entry: ModelEntry) -> dict[str, Any]:
    verdict = judge(assessment, proof, entry.card.gate)
    return {
        "verdict": str(verdict.decision),
        "reasons": list(verdict.reasons),
        "findings": [finding.model_dump() for finding in proof.findings],
        "quality": figures(assessment),
        "exit_code": 0 if verdict.decision is Decision.PASSED else 4,
    }


def _local(text: str, settings: Settings) -> Path:
    location = uris.parse(text, settings)
    transfer.stat(location, settings)
    path = transfer.fetch(location, settings.workdir / "fetched", settings)
    if format_of(path) is None:
        glance(path, max_pixels=settings.max_output_pixels)
    return path


def _size(source: MediaInfo, output: MediaInfo) -> Size:
    """Raises InputUnsupported unless the output is the source enlarged, in its shape to a few px."""
    before, after = source.video, output.video
    height = after.width * before.height / before.width
    if after.width < before.width or abs(after.height - height) > _SHAPE_PX * max(1.0, before.height / before.width):
        raise InputUnsupported(
            f"{after.width}x{after.height} is no enlargement of {before.width}x{before.height} in its shape.",
            hint="Compare an output with the very source it was made of.",
        )
    return after.width, after.height


def _fates(source: Path, output: Path, source_info: MediaInfo, output_info: MediaInfo) -> tuple[StreamPlan, ...]:
    """What the product would have done with each stream for an output of that suffix."""
    return tuple(plan_streams(source, source_info, output.suffix.lower(), output_info.video.codec))
