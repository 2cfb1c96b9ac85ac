"""The source of a job in the hands of its steps: how far it is trusted, and that it stays what was validated."""

from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.errors import InputChanged
from sr_tasks.inference.machine import task_bytes
from sr_tasks.records.job import SourceRecord
from sr_tasks.steps.shared.confined import Bounds
from sr_tasks.steps.shared.first_look import bounds_for
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.uris import LocalFile


def require_unchanged(source: SourceRecord, settings: Settings) -> None:
    """Raises InputChanged if a local source was replaced or written to. What was fetched is a copy of our own."""
    location = uris.parse(source.uri, settings)
    if isinstance(location, LocalFile) and transfer.stat(location, settings).identity != source.identity:
        raise InputChanged(f"{location.name} has changed since it was validated.", hint="Start the job again.")


def first_bounds(path: Path, settings: Settings) -> Bounds:
    """Of the process that reads a source before anything is known of it."""
    return bounds_for(path, max_pixels=settings.max_pixels, task_bytes=task_bytes(settings.max_task_bytes))
