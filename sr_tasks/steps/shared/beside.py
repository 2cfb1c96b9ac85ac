"""What lies beside a delivered output: manifest and report, and a poster and a contact sheet where asked for."""

from typing import Final

from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.beside import BESIDE
from sr_tasks.storage.uris import Location

MANIFEST: Final = "manifest.json"
REPORT: Final = "report.html"


def names(spec: JobSpec) -> list[str]:
    """Of the files in the job's folder, in the order in which they are delivered: the manifest names the pictures, so
    that it goes before them, and whoever removes them finds them."""
    return [MANIFEST, *(BESIDE[kind] for kind in spec.pictures_beside), REPORT]


def address(output: Location, name: str) -> Location:
    """Where a file lies that belongs to an output."""
    return output.with_name(f"{output.name}.{name}")


def refuse_beside_still(spec: JobSpec, name: str) -> None:
    """Raises UsageError if a still picture is to have a poster or a contact sheet."""
    if spec.pictures_beside:
        asked = " and ".join(spec.pictures_beside)
        raise UsageError(
            f"{name} is a still picture, which has no {asked}.", hint="They are for videos; turn them off."
        )
