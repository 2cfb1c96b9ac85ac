"""The report and pictures of a job as bytes, from its folder or from beside its output. Knows no web and no run."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound
from sr_tasks.jobs.api import ReportPicture
from sr_tasks.jobs.delivered import Delivered
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.assessment import Pictures
from sr_tasks.records.beside import BESIDE
from sr_tasks.records.job import SourceRecord
from sr_tasks.storage import failures, transfer, uris
from sr_tasks.storage.uris import Location

View = Literal["source", "bicubic", "output"]

MAX_PAGE_BYTES = 32 << 20
_REPORT_SUFFIX = ".report.html"
_HEADS = {"data:image/png;base64,": "image/png", "data:image/jpeg;base64,": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class Image:
    content: bytes
    media_type: str


def in_folder(job_id: str, settings: Settings) -> bytes | None:
    """The page in the job's folder; None if there is none, or none any more."""
    return _read(JobFolder(settings.workdir, job_id).path / "report.html")


def delivered(uri: str, settings: Settings) -> bytes:
    """The page beside the output. Raises InputNotFound, and what reading there raises.

    Nothing but a report is read, wherever the address points: it comes from a record that others can write.
    """
    if not uri:
        raise InputNotFound("The job has no report.", hint="It is made once the whole output was assessed.")
    location = uris.parse(uri, settings)
    if not location.name.endswith(_REPORT_SUFFIX):
        raise InputNotFound(f"{location.name!r} is no report.", hint=f"Its name ends in {_REPORT_SUFFIX}.")
    size = transfer.stat(location, settings).size_bytes
    if size > MAX_PAGE_BYTES:
        raise InputNotFound(f"{location.name!r} has {size} bytes.", hint="That is no report of ours.")
    return transfer.read(location, MAX_PAGE_BYTES, settings)


def source(job_id: str, settings: Settings) -> tuple[Location, int]:
    """Where the video is that a job looked at, and its bytes. Raises InputNotFound if it looked at none so far or if
    another file is there by now, and what reading there raises."""
    record = JobFolder(settings.workdir, job_id).find("source", SourceRecord)
    if record is None:
        raise InputNotFound(f"The job {job_id} has no record of its source.", hint="It is kept with its scratch.")
    location = uris.parse(record.uri, settings)
    found = transfer.stat(location, settings)
    if found.identity != record.identity:
        raise InputNotFound(f"{location.name!r} was changed after the job.", hint="The manifest says what it was.")
    return location, found.size_bytes


def shown(job_id: str, settings: Settings) -> tuple[ReportPicture, ...]:
    """Which pictures the report of a job has; empty if there are none, or none any more."""
    rows = _read(JobFolder(settings.workdir, job_id).path / "pictures.json")
    try:
        pairs = Pictures.model_validate_json(rows).root if rows is not None else ()
    except ValidationError:
        return ()
    facts = ("reason", "frame", "time_s")
    return tuple(
        ReportPicture(number=number, **{name: getattr(pair, name) for name in facts})
        for number, pair in enumerate(pairs)
    )


def picture(job_id: str, number: int, view: View, settings: Settings) -> Image:
    """Raises InputNotFound if the report has no such picture, or the job's folder was cleared."""
    rows = _read(JobFolder(settings.workdir, job_id).path / "pictures.json")
    missing = InputNotFound(f"There is no picture {number} of this job.", hint="Its report may still have it.")
    if number < 0 or rows is None:
        raise missing
    try:
        uri: str = getattr(Pictures.model_validate_json(rows).root[number], view)
        head, _, text = uri.partition(",")
        return Image(content=base64.b64decode(text, validate=True), media_type=_HEADS[f"{head},"])
    except (IndexError, KeyError, ValidationError, binascii.Error) as exc:
        raise missing from exc


def poster(found: Delivered, settings: Settings) -> Image | None:
    """The poster beside an output; None if the job was asked for none. Raises what reading raises."""
    for location in found.pictures:
        if location.name == f"{found.output.name}.{BESIDE['poster']}":
            return Image(content=transfer.read(location, MAX_PAGE_BYTES, settings), media_type="image/jpeg")
    return None


def _read(path: Path) -> bytes | None:
    """A file of a job's folder; None if it is not there. A folder may be cleared at any moment."""
    try:
        with failures.reading(path), path.open("rb") as file:
            return file.read(MAX_PAGE_BYTES)
    except InputNotFound:
        return None
