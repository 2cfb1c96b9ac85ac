"""The source of a job in the hands of its steps: it must stay the file that was validated."""

from sr_tasks.config import Settings
from sr_tasks.errors import InputChanged
from sr_tasks.steps.records import SourceRecord
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.uris import LocalFile


def require_unchanged(source: SourceRecord, settings: Settings) -> None:
    """Raises InputChanged if a local source was replaced or written to. What was fetched is a copy of our own."""
    location = uris.parse(source.uri, settings)
    if isinstance(location, LocalFile) and transfer.stat(location, settings).identity != source.identity:
        raise InputChanged(f"{location.name} has changed since it was validated.", hint="Start the job again.")
