"""Step `deliver`: puts the finished file where the customer wants it, whole or not at all."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps.records import OutputRecord, SourceRecord
from sr_tasks.steps.timing import timed
from sr_tasks.storage import transfer, uris


@timed("deliver")
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Raises TargetExists, TargetUnwritable, DiskFull, StorageUnavailable."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    output = folder.load("output", OutputRecord)
    target = uris.parse(source.output_uri, settings)
    transfer.deliver(Path(output.path), target, settings, overwrite=spec.overwrite, move=True)
    return {"output": str(target)}
