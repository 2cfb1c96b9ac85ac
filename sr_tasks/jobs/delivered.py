"""What a job delivered, proved by the manifest beside it: the record of a run can be written by others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sr_tasks.config import Settings
from sr_tasks.errors import InputInvalid, InputNotFound, TargetExists
from sr_tasks.jobs import manifest
from sr_tasks.records.beside import BESIDE
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.uris import Location

MAX_MANIFEST_BYTES: Final = 32 << 20
_SUFFIX = ".manifest.json"


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Where the files are that belong together."""

    output: Location
    manifest: Location
    report: Location
    pictures: tuple[Location, ...]
    """Poster and contact sheet, as far as the manifest has them."""
    content: dict[str, Any]
    """Of the manifest."""


def delivered(job_id: str, record: Mapping[str, str], settings: Settings) -> Delivered:
    """The files that `record` (a DeliveryRecord's fields) says a job delivered.

    Raises InputNotFound if there are none, TargetExists if they are of another job by now, InputInvalid for a manifest
    that is none, and what reading raises.
    """
    if not record.get("manifest") or not record.get("output"):
        raise InputNotFound(f"The job {job_id} has delivered nothing.", hint="A job delivers when it is COMPLETED.")
    output, beside = uris.parse(record["output"], settings), uris.parse(record["manifest"], settings)
    if beside != output.with_name(f"{output.name}{_SUFFIX}"):
        raise InputInvalid(f"{beside.name!r} is not the manifest of {output.name!r}.", hint="It lies beside it.")
    content = manifest.read(transfer.read(beside, MAX_MANIFEST_BYTES, settings), str(beside))
    owner = content.get("job", {}).get("id")
    if owner != job_id:
        raise TargetExists(
            f"The files at {str(output)!r} are of the job {owner} by now.",
            hint="Ask for that job.",
        )
    return Delivered(
        output=output,
        manifest=beside,
        report=output.with_name(f"{output.name}.report.html"),
        pictures=tuple(output.with_name(f"{output.name}.{name}") for name in _names(content)),
        content=content,
    )


def _names(content: dict[str, Any]) -> list[str]:
    listed = content.get("pictures_beside") or {}
    return [name for kind, name in BESIDE.items() if listed.get(kind)]
