"""Step `validate`: refuses before any expensive work what cannot come out right, and writes down what came in."""

import shutil
from dataclasses import replace
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.steps.shared import forecast
from sr_tasks.steps.shared.choice import Choice, choose, kept
from sr_tasks.steps.shared.inspection import TABLE, Inspection, inspect, record_of, refuse_losses
from sr_tasks.steps.shared.locations import locations
from sr_tasks.steps.shared.sizes import refuse_unreached_rate
from sr_tasks.storage import transfer
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.uris import LocalFile


def run(spec: JobSpec, job_id: str, settings: Settings, earlier: Inspection | None = None) -> dict[str, Any]:
    """Check the request and leave `spec` and `source` in a new job folder. Raises InputRefused errors.

    `earlier`: what `inspect_ahead` found for this request a moment ago in the same program; it holds while the file
    has not changed.
    """
    folder = JobFolder(settings.workdir, job_id)
    if earlier is not None and _still_holds(earlier, settings):
        inspection = _taken_over(earlier, folder)
    else:
        inspection = inspect(spec, settings, folder.path, folder.path / TABLE)
    video = inspection.found.media.video
    identity = inspection.stat.identity
    choice = kept(spec, identity, folder) or choose(spec, inspection.path, inspection.found.media, job_id, settings)
    logger.info("{}: {}", choice.model, choice.reason)
    # Airflow runs this step again, as the set-up, whenever somebody clears a later one: that one needs the records.
    if _is_again(spec, identity, choice, folder):
        folder.forget("error", "manifest", "delivery", "review")
    else:
        folder.clear()
    record = _rehearsed(spec, record_of(inspection, choice), folder, settings)
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


def _still_holds(earlier: Inspection, settings: Settings) -> bool:
    return transfer.stat(earlier.source, settings).identity == earlier.stat.identity


def _taken_over(earlier: Inspection, folder: JobFolder) -> Inspection:
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
