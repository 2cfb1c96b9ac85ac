"""Step `deliver`: puts the finished file where the customer wants it, whole or not at all."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.errors import InputChanged, InputNotFound
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage import transfer, uris


@timed(Task.DELIVER)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Raises TargetExists, TargetUnwritable, DiskFull, StorageUnavailable, and InputChanged if it would replace what
    may be the output of a newer version of the source."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    output = folder.load("output", OutputRecord)
    target = uris.parse(source.output_uri, settings)
    if spec.overwrite:
        _refuse_overtaken(source, settings)
    transfer.deliver(Path(output.path), target, settings, overwrite=spec.overwrite, move=True)
    return {"output": str(target)}


def _refuse_overtaken(source: SourceRecord, settings: Settings) -> None:
    """A newer version of a file has a job of its own, which may have been the faster one. A source that is gone is no
    newer version."""
    location = uris.parse(source.uri, settings)
    try:
        now = transfer.stat(location, settings)
    except InputNotFound:
        return
    if now.identity != source.identity:
        raise InputChanged(
            f"{location.name} was replaced while its earlier version was enhanced, so the output was not delivered.",
            hint="The newer version needs a job of its own; one is there already where jobs start by themselves.",
        )
