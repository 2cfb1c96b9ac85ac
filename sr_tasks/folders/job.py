"""A folder or prefix of pictures as one job: list the files, enlarge them shard by shard, report.

The job's records lie in a job folder of its own that is the same for the same two folders. A rerun skips what is done.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import ChunkMissing, DiskTooSmall, InputNotFound, JobRunning, UsageError, error_of
from sr_tasks.folders import listing, summary
from sr_tasks.folders.sessions import Sessions
from sr_tasks.folders.shard import Group
from sr_tasks.inference.lease import Holder, leased_backend
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Status
from sr_tasks.records.folders import FolderRecord, PictureOutcome
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.sizes import AUTO_SCALES
from sr_tasks.steps.shared.beside import refuse_beside_still
from sr_tasks.steps.shared.choice import choose, require_possible
from sr_tasks.steps.shared.inspection import TABLE, Inspection, inspect_file, record_of
from sr_tasks.steps.shared.locations import locations
from sr_tasks.steps.shared.sizes import refuse_rated_still
from sr_tasks.storage import locks, transfer, uris
from sr_tasks.storage.uris import LocalFile
from sr_tasks.telemetry.logs import job_context
from sr_tasks.telemetry.progress import FramesDone, JobEnded, Observers, PhaseStarted, Progress


def list_pictures(spec: JobSpec, settings: Settings) -> dict[str, Any]:
    """Check the request and write down all files. Gives `files` and `shards`, a list of their numbers.

    Raises UsageError, InputNotFound for a folder without files, DiskTooSmall, TargetUnwritable, JobRunning, and what
    can be said against the model.
    """
    folder = listing.job_folder(spec, settings)
    with _locked(folder, ".lock", shared=False), _nothing_left(folder):
        folder.forget("folder", "error")
        _require_sense(spec, settings)
        record = listing.list_files(spec, folder, settings)
        if not record.files:
            raise InputNotFound(f"There is no file in {record.source}.", hint="Check the address of the folder.")
        _require_target(record, settings)
        _require_space(record, folder, spec, settings)
        folder.store_json("job", {"id": folder.job_id})
        folder.store("spec", spec)
        folder.store("folder", record)
    return {"files": record.files, "shards": list(range(record.shards))}


def enlarge(
    spec: JobSpec, shard: int, settings: Settings, on_picture: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Work through one shard; gives counts of `delivered`, `failed`, `skipped` and `resumed` files.

    `on_picture` is called after each file. Raises DeviceBusy, DiskFull and StorageUnavailable (what was done stays
    done), and JobRunning if another process works on the same files. A file that cannot be enlarged raises nothing.
    """
    folder = listing.job_folder(spec, settings)
    record = folder.load("folder", FolderRecord)
    counts = {"delivered": 0, "failed": 0, "skipped": 0, "resumed": 0}

    def done(outcome: PictureOutcome, is_resumed: bool) -> None:
        counts[outcome.status] += 1
        counts["resumed"] += is_resumed
        on_picture()

    def look(request: JobSpec, scratch: Path, path: Path) -> SourceRecord:
        source, output = locations(request, settings)
        stat = transfer.stat(source, settings)
        found, fates = inspect_file(request, path, output.suffix.lower(), settings, scratch / TABLE)
        inspection = Inspection(source=source, output=output, path=path, stat=stat, found=found, fates=fates)
        return record_of(inspection, choose(request, path, found.media, folder.job_id, settings))

    with (
        _locked(folder, ".lock", shared=True),
        leased_backend(settings.backend, settings, Holder(job=folder.job_id, chunk=shard)) as device,
        contextlib.closing(Sessions(device, settings)) as sessions,
    ):
        for number in listing.groups_of(shard, record.shards):
            with _locked(folder, f"locks/{number:03d}", shared=False), job_context(folder.job_id, chunk=shard):
                Group(folder, number, spec, settings, sessions, look).run(done)
    return counts


def finish(spec: JobSpec, settings: Settings) -> dict[str, Any]:
    """Deliver the manifest and the page beside the pictures, and give the counts.

    Raises ChunkMissing if there are files that no shard has looked at, and the first picture's error if none was
    delivered; manifest and page are delivered before either.
    """
    folder = listing.job_folder(spec, settings)
    record = folder.load("folder", FolderRecord)
    found = summary.Summary.of(folder)
    scratch = folder.path / "report"
    scratch.mkdir(parents=True, exist_ok=True)
    manifest, page = scratch / listing.MANIFEST, scratch / listing.REPORT
    summary.write_manifest(manifest, folder, record, spec, found, settings)
    summary.write_page(page, record, spec, found, scratch, settings)
    for path in (manifest, page):
        transfer.deliver(path, uris.parse(f"{record.output}{path.name}", settings), settings, overwrite=True)
    shutil.rmtree(scratch)
    counts = summary.counts_of(found)
    logger.info("{}: {}", record.source, counts)
    _require_success(record, found)
    return {
        "output": record.output,
        "manifest": f"{record.output}{listing.MANIFEST}",
        "report": f"{record.output}{listing.REPORT}",
        "pictures": counts,
    }


def run(spec: JobSpec, settings: Settings, observer: Progress | None = None) -> dict[str, Any]:
    """The whole job in one process. Returns what `--json` prints; raises the SrError that ended the job."""
    started, told = time.monotonic(), Observers([observer] if observer else [])
    told.on_event(PhaseStarted(phase="listing"))
    try:
        listed = list_pictures(spec, settings)
        told.on_event(PhaseStarted(phase="enlarging pictures"))
        meter = _Meter(listed["files"], observer)
        resumed = sum(enlarge(spec, shard, settings, meter)["resumed"] for shard in listed["shards"])
        told.on_event(PhaseStarted(phase="reporting"))
        result = finish(spec, settings)
    except BaseException:
        told.on_event(JobEnded(status=Status.FAILED))
        raise
    told.on_event(JobEnded(status=Status.COMPLETED))
    seconds = round(time.monotonic() - started, 2)
    return {"status": str(Status.COMPLETED), **result, "resumed": resumed, "seconds": seconds}


class _Meter:
    """Files as frames of a progress bar. An observer may stop the job by what it raises."""

    def __init__(self, total: int, observer: Progress | None) -> None:
        self._total, self._observer = total, observer
        self._done, self._started = 0, time.monotonic()

    def __call__(self) -> None:
        self._done += 1
        if self._observer is not None:
            fps = self._done / max(time.monotonic() - self._started, 1e-3)
            self._observer.on_event(FramesDone(done=self._done, total=self._total, fps=fps))


def _require_sense(spec: JobSpec, settings: Settings) -> None:
    refuse_rated_still(spec, "Each file of the folder")
    refuse_beside_still(spec, "Each file of the folder")
    if spec.review == "always":
        raise UsageError(
            "review=always was asked for, and nobody is asked about each picture of a folder.",
            hint="Leave it at auto: doubtful pictures are held back and listed. With never they are delivered.",
        )
    require_possible(spec, settings)


def _require_target(record: FolderRecord, settings: Settings) -> None:
    for name in (listing.MANIFEST, listing.REPORT):
        transfer.check_target(uris.parse(f"{record.output}{name}", settings), settings, overwrite=True)


def _require_space(record: FolderRecord, folder: JobFolder, spec: JobSpec, settings: Settings) -> None:
    """Outputs are taken to grow as their pictures do. What an earlier run delivered needs no more room."""
    output = uris.parse(f"{record.output}_", settings)
    if not isinstance(output, LocalFile):
        return
    factor = spec.scale if spec.size is None else AUTO_SCALES[0]
    done = sum(one.size_bytes for one in listing.outcomes_of(folder) if one.status == "delivered")
    needed = max(0, record.size_bytes - done) * factor**2 + settings.min_free_bytes
    free = transfer.free_bytes(output.path.parent)
    if free < needed:
        raise DiskTooSmall(
            f"About {needed / 1e9:.1f} GB are needed in {record.output}, {free / 1e9:.1f} GB are free.",
            hint="Free some space, or name an output folder on another disk.",
        )


def _require_success(record: FolderRecord, found: summary.Summary) -> None:
    counts = summary.counts_of(found)
    if missing := record.files - sum(counts.values()):
        raise ChunkMissing(
            f"{missing} of {record.files} files were not looked at.", hint="Run the job again: it goes on from there."
        )
    if counts["delivered"]:
        return
    first = found.first_failure
    report = f"The report is {record.output}{listing.REPORT}."
    if first is None:
        raise InputNotFound(
            f"There is no still picture among the {record.files} files of {record.source}.", hint=report
        )
    message = f"None of {counts['failed']} pictures was delivered. The first: {first.message}"
    raise error_of(first.code, message, hint=report)


@contextlib.contextmanager
def _nothing_left(folder: JobFolder) -> Iterator[None]:
    """A request that is refused leaves no folder, unless an earlier run left results in it."""
    try:
        yield
    except BaseException:
        if not (folder.path / "results").is_dir():
            shutil.rmtree(folder.path)
        raise


@contextlib.contextmanager
def _locked(folder: JobFolder, name: str, *, shared: bool) -> Iterator[None]:
    handle = locks.acquire(folder.path / name, wait=False, shared=shared)
    if handle is None:
        raise JobRunning(
            f"Another job is at work on the same two folders ({folder.job_id}).", hint="Wait for it, or stop it first."
        )
    try:
        yield
    finally:
        locks.release(handle)
