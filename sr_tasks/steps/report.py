"""Step `report`: puts the manifest, the report and what else was asked for beside the delivered output."""

import json
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.records.beside import BESIDE
from sr_tasks.records.job import DeliveryRecord, SourceRecord
from sr_tasks.release import observe
from sr_tasks.steps.shared import beside, forecast, manifest, meter
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import write_text


@timed(Task.REPORT)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `manifest` and `delivery` in the job folder. A second try delivers the same files, not newer ones."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    target = uris.parse(source.output_uri, settings)
    if not folder.has("manifest"):
        text = json.dumps(manifest.build(folder), indent=1, ensure_ascii=False)
        write_text(folder.path / "manifest.json", text)
        forecast.learn(folder, settings)
    for name in beside.names(spec):
        transfer.deliver(folder.path / name, beside.address(target, name), settings, overwrite=spec.overwrite)
    record = DeliveryRecord(
        output=str(target),
        manifest=str(beside.address(target, beside.MANIFEST)),
        report=str(beside.address(target, beside.REPORT)),
        **{kind: str(beside.address(target, BESIDE[kind])) for kind in spec.pictures_beside},
    )
    folder.store("delivery", record)
    observe.job_done(job_id, settings)
    meter.job_done(job_id, settings)
    return record.model_dump()
