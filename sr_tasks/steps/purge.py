"""Step `purge`: clears scratch of what jobs that ended left, by age and by size. Never touches a job that may run.

Knows what lies in scratch; whether a job still runs its caller says.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs import received
from sr_tasks.storage import failures, uris
from sr_tasks.storage.atomic import everything_in, newest_write
from sr_tasks.storage.locks import is_held
from sr_tasks.storage.uris import S3Object
from sr_tasks.storage.workdir import ChunkStore

IsLive = Callable[[str], bool]
"""Whether a job, by its id, may still run."""

SPARED_S = 3600.0
"""What was written within the last hour stays even where there is too much of it."""

_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something that nobody is at work on."""

    kind: str
    """job, chunks, uploads, fetched, rehearsed or trash."""
    path: Path
    size_bytes: int
    written_at: float
    """Seconds since 1970."""
    users: frozenset[str] = frozenset()


def run(settings: Settings, is_live: IsLive, *, confirm: bool) -> dict[str, Any]:
    """Remove what is older than `keep_days`, then the oldest past `keep_bytes`; without `confirm` only say so.

    Raises DiskFull or TargetUnwritable if scratch cannot be written.
    """
    found = sorted(_leftovers(settings.workdir, is_live), key=lambda leftover: leftover.written_at)
    doomed = _doomed(found, settings)
    removed = [leftover for leftover in doomed if not confirm or _removed(leftover, is_live, settings)]
    for leftover in removed:
        logger.info("{} {} ({} bytes)", "removed" if confirm else "would remove", leftover.path, leftover.size_bytes)
    return {
        "confirmed": confirm,
        "items": len(removed),
        "bytes": sum(leftover.size_bytes for leftover in removed),
        "kept_bytes": sum(leftover.size_bytes for leftover in found if leftover not in removed),
        "paths": [str(leftover.path.relative_to(settings.workdir)) for leftover in removed[:_SHOWN]],
    }


def _doomed(found: list[Leftover], settings: Settings) -> list[Leftover]:
    """The old, and of the rest the oldest that are too much. `found` is sorted by age."""
    now, total, doomed = time.time(), sum(leftover.size_bytes for leftover in found), []
    for leftover in found:
        age_s = now - leftover.written_at
        # An upload may be the source of a job that waits, and have its output beside it: age alone decides.
        is_too_much = total > settings.keep_bytes and age_s > SPARED_S and leftover.kind != received.FOLDER
        if is_too_much or age_s > settings.keep_days * 86400:
            doomed.append(leftover)
            total -= leftover.size_bytes
    return doomed


def _leftovers(workdir: Path, is_live: IsLive) -> Iterator[Leftover]:
    needed: set[str] = set()
    sources: list[str] = []
    for folder in _children(workdir / "jobs"):
        if _is_at_work(folder, is_live):
            needed.add(_fingerprint(folder))
            sources.append(str(_record(folder, "source").get("uri") or ""))
        else:
            yield _leftover("job", folder)
    for folder in _children(workdir / "chunks"):
        if not folder.is_dir() or folder.name in needed:
            continue
        users = ChunkStore(workdir, folder.name).users()
        if not any(is_live(user) for user in users):
            yield _leftover("chunks", folder, users)
    for folder in _children(workdir / received.FOLDER):
        if not any(f"/{received.FOLDER}/{folder.name}/" in uri for uri in sources):
            yield _leftover(received.FOLDER, folder)
    for kind in ("fetched", "rehearsed", "trash"):
        yield from (_leftover(kind, path) for path in _children(workdir / kind))


def _children(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name != ".lock")


def _leftover(kind: str, path: Path, users: frozenset[str] = frozenset()) -> Leftover:
    return Leftover(kind=kind, path=path, size_bytes=_size(path), written_at=newest_write(path), users=users)


def _size(path: Path) -> int:
    total = 0
    for file in (path, *everything_in(path)):
        with contextlib.suppress(FileNotFoundError):  # somebody removed it meanwhile
            facts = file.lstat()
            total += facts.st_size if not file.is_dir() else 0
    return total


def _is_at_work(folder: Path, is_live: IsLive) -> bool:
    return is_live(_job_id(folder)) or _is_locked(folder)


def _is_locked(folder: Path) -> bool:
    """Whether a command line runs this job: it holds the folder's lock for as long as it lives."""
    return is_held(folder / ".lock")


def _job_id(folder: Path) -> str:
    """As the job was given it; the folder's name is made of it, and may differ."""
    return str(_record(folder, "job").get("id") or folder.name)


def _fingerprint(folder: Path) -> str:
    return str(_record(folder, "model").get("fingerprint") or "")


def _record(folder: Path, name: str) -> dict[str, Any]:
    """What a step left, or nothing: a job may have ended before it, or in the middle of anything."""
    try:
        found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _removed(leftover: Leftover, is_live: IsLive, settings: Settings) -> bool:
    """Look once more, then remove. False if it is in use again, or what it left in a bucket cannot be cleared yet."""
    if leftover.kind == "chunks":
        store = ChunkStore(settings.workdir, leftover.path.name)
        return store.discard(leftover.users, older_than_s=max(0.0, time.time() - leftover.written_at - 1e-3))
    if leftover.kind == "job":
        if _is_at_work(leftover.path, is_live) or newest_write(leftover.path) > leftover.written_at:
            return False
        if not _uploads_ended(leftover.path, settings):
            return False
    with failures.writing(leftover.path):
        if leftover.path.is_dir():
            shutil.rmtree(leftover.path, ignore_errors=leftover.kind == "trash")
        else:
            leftover.path.unlink(missing_ok=True)
    return True


def _uploads_ended(folder: Path, settings: Settings) -> bool:
    """End the uploads that the job began and never finished. False if that did not work and is to be tried again."""
    target = str(_record(folder, "source").get("output_uri") or "")
    if not target.startswith("s3://"):
        return True
    try:
        location = uris.parse(target, settings)
        if isinstance(location, S3Object):
            _end_uploads(location, settings)
    except SrError as exc:
        logger.warning("unfinished uploads to {} were not looked for: {}", target, exc)
        return False
    return True


def _end_uploads(location: S3Object, settings: Settings) -> None:
    from sr_tasks.storage.uploads import UnfinishedUploads  # boto3 takes a moment to load, and few jobs need it

    uploads = UnfinishedUploads(settings)
    for upload in uploads.of(location):
        if upload.age_s > SPARED_S:
            uploads.end(upload)
            logger.info("ended an unfinished upload to {}", location)
