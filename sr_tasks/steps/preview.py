"""`probe --plan`: what a job would do with a source, rehearsed, without doing it."""

import secrets
import shutil
from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputRefused
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.purposes import PURPOSES
from sr_tasks.steps.rehearsal import rehearse
from sr_tasks.steps.shared.choice import Choice, choose
from sr_tasks.steps.shared.forecast import forecast
from sr_tasks.steps.shared.inspection import Inspection, inspect_file, record_of, refuse_losses
from sr_tasks.steps.shared.locations import locations
from sr_tasks.steps.shared.still import target_of
from sr_tasks.storage import transfer

_ANY_MODEL = Choice(model="", reason="", level=0.0, degradation=None)


def preview(spec: JobSpec, settings: Settings) -> dict[str, Any]:
    """The plan of picture, repairs and streams. Raises the InputRefused errors that a job would raise for its source;
    does not look at the target. A model that cannot be chosen leaves the forecast open."""
    with temporary_table() as table:
        return _previewed(spec, settings, table)


def _previewed(spec: JobSpec, settings: Settings, table: Path) -> dict[str, Any]:
    source, output = locations(spec, settings)
    stat = transfer.stat(source, settings)
    path = transfer.fetch(source, settings.workdir / "fetched", settings)
    found, fates = inspect_file(spec, path, output.suffix.lower(), settings, table)
    inspection = Inspection(source=source, output=output, path=path, stat=stat, found=found, fates=fates)
    record = record_of(inspection, _ANY_MODEL)
    if found.media.still is not None:
        return {
            "source": source.uri,
            "output": output.uri,
            "picture": _still(spec, record),
            "repairs": [],
            "streams": [row.model_dump(mode="json") for row in fates],
            "rehearsal": None,
        }
    scratch = settings.workdir / "rehearsed" / f"preview-{secrets.token_hex(4)}"
    try:
        rehearsal = rehearse(spec, record, scratch, settings)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    refuse_losses(spec, rehearsal.fates)
    return {
        "source": source.uri,
        "output": output.uri,
        "picture": _picture(spec, record),
        "repairs": [repair.model_dump(mode="json") for repair in found.media.repairs],
        "streams": [row.model_dump(mode="json") for row in rehearsal.fates],
        "forecast": _forecast(spec, record.model_copy(update={"rehearsal": rehearsal}), settings),
        "rehearsal": rehearsal.model_dump(mode="json", exclude={"fates"}),
    }


def _forecast(spec: JobSpec, record: SourceRecord, settings: Settings) -> str:
    """In words; why there is none, if no model can be chosen for the source."""
    try:
        choice = choose(spec, Path(record.local_path), record.media, "preview", settings)
        return str(forecast(spec, record.model_copy(update={"model": choice.model}), settings))
    except InputRefused as exc:
        return f"none: {exc.message}"


def _still(spec: JobSpec, record: SourceRecord) -> dict[str, Any]:
    facts, video = record.media.still, record.media.video
    target = target_of(spec, record)
    width, height = spec.output_size(video)
    return {
        "source": "" if facts is None else f"{facts.format} {facts.mode}, {facts.bit_depth} bits a sample",
        "planes": f"{video.pix_fmt} {video.width}x{video.height}",
        "target": "" if target is None else f"{target.format} {width}x{height}",
        "notes": list(video.pixel_notes),
    }


def _picture(spec: JobSpec, record: SourceRecord) -> dict[str, Any]:
    video, plan = record.media.video, record.media.picture
    width, height = spec.output_size(video)
    left, top, right, bottom = plan.crop
    return {
        "source": f"{video.codec} {video.source_pix_fmt or video.pix_fmt}, {video.frames} frames at about "
        f"{float(video.frames / max(video.duration_s, 1e-6)):.3f} a second",
        "times": _times(record),
        "deinterlacing": plan.deinterlace + (f", {plan.field_order}" if plan.field_order else ""),
        "crop": f"{left} left, {top} top, {right} right, {bottom} bottom" if any(plan.crop) else "none",
        "planes": f"{video.pix_fmt} {video.width}x{video.height}",
        "target": f"{spec.codec} {video.pix_fmt} {width}x{height} in {record.suffix}",
        "purpose": f"{spec.purpose} ({PURPOSES[spec.purpose]})" if spec.purpose in PURPOSES else "none was named",
        "notes": list(video.pixel_notes),
    }


def _times(record: SourceRecord) -> str:
    plan = record.media.picture
    if plan.frame_rate:
        return f"none in the source; {plan.frame_rate} frames a second"
    return (
        "as the packets say" if plan.timeline == "packets" else "as the frames say, repaired where they do not ascend"
    )
