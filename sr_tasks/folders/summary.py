"""What came of a folder of pictures: counts, the manifest of all files, and the page with its contact sheet."""

import heapq
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.folders.listing import name_in, outcomes_of
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.manifest import SCHEMA_VERSION
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.pictures.described import described
from sr_tasks.pictures.reading import read
from sr_tasks.pictures.samples import alike, planes_of
from sr_tasks.quality.contact import ContactCell, ContactSheet, NotDelivered, render, thumbnail
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.pictures import Album, to_rgb
from sr_tasks.quality.still import assess_still
from sr_tasks.records.assessment import Decision
from sr_tasks.records.folders import FolderRecord, PictureOutcome
from sr_tasks.steps.shared.manifest import versions
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import replacing, write_text

CELLS: Final = 60
"""Pictures on the contact sheet."""
_LISTED: Final = 500
"""Files without an output that the page lists; the manifest has all."""


@dataclass(kw_only=True)
class Summary:
    """Counts of a folder, with what its page shows. Holds no more for a larger folder."""

    counts: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    undelivered: list[PictureOutcome] = field(default_factory=list)
    worst: list[PictureOutcome] = field(default_factory=list)
    first_failure: PictureOutcome | None = None

    @classmethod
    def of(cls, folder: JobFolder) -> "Summary":
        summary = cls()
        delivered = summary._counted(outcomes_of(folder))
        summary.worst = heapq.nsmallest(CELLS, delivered, key=_badness)
        return summary

    def _counted(self, outcomes: Iterator[PictureOutcome]) -> Iterator[PictureOutcome]:
        """Count all; give those that were delivered."""
        for outcome in outcomes:
            self.counts[outcome.status] += 1
            if outcome.status == "delivered":
                self.models[outcome.model] += 1
                yield outcome
                continue
            if outcome.status == "failed" and self.first_failure is None:
                self.first_failure = outcome
            if len(self.undelivered) < _LISTED:
                self.undelivered.append(outcome)


def _badness(outcome: PictureOutcome) -> tuple[bool, float, str]:
    """Doubtful ones first, then by likeness to the source."""
    return outcome.verdict is Decision.PASSED, outcome.psnr or 0.0, outcome.uri


def write_manifest(
    path: Path, folder: JobFolder, record: FolderRecord, spec: JobSpec, summary: Summary, settings: Settings
) -> None:
    """JSON with an entry for each file, written one by one: memory does not grow with the folder. Raises DiskFull."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "kind": "pictures",
        "job": {"id": folder.job_id, "finished": datetime.now(UTC).isoformat(timespec="seconds")},
        "request": spec.model_dump(mode="json"),
        "source": record.source,
        "output": record.output,
        "counts": counts_of(summary),
        "software": versions(),
    }
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, indent=1, ensure_ascii=False)[:-2] + ',\n "pictures": [')
        for number, outcome in enumerate(outcomes_of(folder)):
            row = {"name": name_in(outcome.uri, record.source, settings)} | outcome.model_dump(mode="json")
            file.write((",\n  " if number else "\n  ") + json.dumps(row, ensure_ascii=False))
        file.write("\n ]\n}\n")


def counts_of(summary: Summary) -> dict[str, int]:
    return {status: summary.counts[status] for status in ("delivered", "failed", "skipped")}


def write_page(
    path: Path, record: FolderRecord, spec: JobSpec, summary: Summary, scratch: Path, settings: Settings
) -> None:
    """The page; pictures are read again one at a time for it. Raises DiskFull, StorageUnavailable."""
    undelivered = {
        status: [
            NotDelivered(name=name_in(one.uri, record.source, settings), code=one.code, message=one.message)
            for one in summary.undelivered
            if one.status == status
        ]
        for status in ("failed", "skipped")
    }
    sheet = ContactSheet(
        source=record.source,
        output=record.output,
        size=f"to {spec.size}" if spec.size else f"{spec.scale}x",
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        counts=counts_of(summary),
        models=dict(sorted(summary.models.items())),
        **undelivered,
        more=summary.counts["failed"] + summary.counts["skipped"] - sum(map(len, undelivered.values())),
        cells=list(_cells(record, spec, summary, scratch, settings)),
    )
    write_text(path, render(sheet))


def _cells(
    record: FolderRecord, spec: JobSpec, summary: Summary, scratch: Path, settings: Settings
) -> Iterator[ContactCell]:
    for outcome in summary.worst:
        try:
            yield _cell(outcome, record, spec, scratch, settings)
        except SrError as exc:  # somebody removed it since, and the page must not fail for that
            logger.warning("{} is not on the contact sheet: {}", outcome.uri, exc)


def _cell(
    outcome: PictureOutcome, record: FolderRecord, spec: JobSpec, scratch: Path, settings: Settings
) -> ContactCell:
    paths = [transfer.fetch(uris.parse(uri, settings), scratch, settings) for uri in (outcome.uri, outcome.output_uri)]
    (facts, before), (_, after) = map(read, paths)
    video = described(paths[0], facts).video
    planes = planes_of(alike(after, before))
    album = Album(video)
    assess_still(planes_of(before), planes, video, album)
    pair = album.pairs()[-1]
    for path in paths:
        if path.parent == scratch:
            path.unlink()
    (columns, rows), (out_columns, out_rows) = outcome.source_size, outcome.output_size
    return ContactCell(
        name=name_in(outcome.uri, record.source, settings),
        size=f"{columns}x{rows} to {out_columns}x{out_rows}",
        psnr=outcome.psnr or 0.0,
        doubt=outcome.message,
        whole=thumbnail(to_rgb(Frame(pts=0, planes=planes, bit_depth=video.bit_depth), video)),
        before=pair.bicubic,
        after=pair.output,
    )
