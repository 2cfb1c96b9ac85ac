"""Moves whole files between the scratch folder and where customers keep theirs. Never shows half a file to anyone."""

import hashlib
import os
import shutil
import stat as modes
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sr_tasks.config import Settings
from sr_tasks.errors import (
    InputChanged,
    IntegrityBroken,
    TargetExists,
    TargetUnwritable,
    UriNotAllowed,
)
from sr_tasks.storage import failures, publish
from sr_tasks.storage.atomic import partial_name, sweep_partials, sync
from sr_tasks.storage.hashing import BLOCK_BYTES, sha256_file
from sr_tasks.storage.uris import LocalFile, Location, S3Object

if TYPE_CHECKING:
    from sr_tasks.storage.s3 import ObjectInfo, ObjectStore


@dataclass(frozen=True, kw_only=True)
class SourceStat:
    """What a source is now. `identity` changes whenever its content may have: by size with ETag, or inode and time."""

    size_bytes: int
    identity: str


def stat(location: Location, settings: Settings) -> SourceStat:
    """Look at a source without reading it.

    Raises InputNotFound, InputUnreadable, StorageUnavailable, and UriNotAllowed for a local path that is no regular
    file: a folder, a device, a pipe or a socket.
    """
    if isinstance(location, S3Object):
        return _of_object(_store(settings).head(location))
    with failures.reading(location):
        facts = location.path.stat()
        if not modes.S_ISREG(facts.st_mode):
            raise UriNotAllowed(f"{str(location)!r} is {_kind(facts.st_mode)}, not a file.", hint="Name a video file.")
        os.close(os.open(location.path, os.O_RDONLY | os.O_NONBLOCK))
    identity = f"{facts.st_size}-{facts.st_dev}-{facts.st_ino}-{facts.st_mtime_ns}"
    return SourceStat(size_bytes=facts.st_size, identity=identity)


def fetch(location: Location, folder: Path, settings: Settings, expected: SourceStat | None = None) -> Path:
    """Give a local path with the source's content: a local file's own, or a download kept in `folder`.

    A download of the same object is used again. Raises InputChanged if the source is not the `expected` one, DiskFull,
    and what `stat` raises.
    """
    if isinstance(location, LocalFile):
        _check_same(location, stat(location, settings), expected)
        return location.path
    store = _store(settings)
    info = store.head(location)
    now = _of_object(info)
    _check_same(location, now, expected)
    key = hashlib.sha256(f"{location.uri} {now.identity}".encode()).hexdigest()[:24]
    target = folder / f"source-{key}{location.suffix[:16]}"
    if not (target.is_file() and target.stat().st_size == now.size_bytes):
        store.get(location, target, info)
    return target


def check_target(location: Location, settings: Settings, *, overwrite: bool) -> None:
    """Prove that `deliver` could write there, and leave nothing behind.

    Raises TargetExists, TargetUnwritable or StorageUnavailable.
    """
    if isinstance(location, S3Object):
        _store(settings).check_writable(location, overwrite=overwrite)
        return
    with failures.writing(location):
        _check_existing(location.path)
        if location.path.exists() and not overwrite:
            raise publish.exists(location.path)
        folder = _nearest_folder(location.path.parent)
        longest = os.pathconf(folder, "PC_NAME_MAX")
        for part in location.path.parts[1:]:
            if len(os.fsencode(part)) > longest:
                raise TargetUnwritable(f"The name {part!r} is too long.", hint=f"Use up to {longest} bytes.")
        with tempfile.TemporaryFile(dir=folder):
            pass


def deliver(local: Path, location: Location, settings: Settings, *, overwrite: bool, move: bool = False) -> None:
    """Put a finished file where the customer wants it, whole or not at all, whenever the process dies.

    Doing it again is a success, as is finding a target with the same content. With `move`, and on one file system, the
    target becomes a second name of `local` instead of a copy: change the file no more; removing `local` is the
    caller's. Without `overwrite` nothing is ever replaced, also when two deliveries meet. Raises TargetExists,
    TargetUnwritable, DiskFull, StorageUnavailable, and IntegrityBroken if `local` is gone or the copy differs from it.
    """
    if not local.is_file():
        raise IntegrityBroken(f"The finished file {str(local)!r} is not there.", hint="Run the job again.")
    if isinstance(location, S3Object):
        _store(settings).put(local, location, overwrite=overwrite)
    else:
        _deliver_local(local, location.path, overwrite=overwrite, move=move)


def read(location: Location, max_bytes: int, settings: Settings) -> bytes:
    """The first `max_bytes` of a small file. Raises what `stat` raises."""
    if isinstance(location, S3Object):
        return _store(settings).read(location, max_bytes)
    stat(location, settings)
    with failures.reading(location), location.path.open("rb") as file:
        return file.read(max_bytes)


def signed_link(location: S3Object, seconds: int, settings: Settings) -> str:
    """An address under which anybody may read an object for so long. Raises InputUnreadable."""
    return _store(settings).signed_link(location, seconds)


def remove(location: Location, settings: Settings) -> None:
    """Remove a file; one that is not there is none to remove. Raises TargetUnwritable or StorageUnavailable."""
    if isinstance(location, S3Object):
        _store(settings).delete(location)
        return
    with failures.writing(location):
        location.path.unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """Bytes a user may still write in the folder `path`, or where it would be made."""
    return shutil.disk_usage(_nearest_folder(path)).free


def _of_object(info: "ObjectInfo") -> SourceStat:
    return SourceStat(size_bytes=info.size_bytes, identity=f"{info.size_bytes}-{info.etag}")


def _check_same(location: Location, now: SourceStat, expected: SourceStat | None) -> None:
    if expected is not None and now != expected:
        raise InputChanged(f"{str(location)!r} was changed after the job was planned.", hint="Submit the job again.")


def _deliver_local(local: Path, target: Path, *, overwrite: bool, move: bool) -> None:
    with failures.writing(target):
        _check_existing(target)
        if target.exists() and (target.samefile(local) or (not overwrite and _is_same(local, target))):
            return
        if target.exists() and not overwrite:
            raise publish.exists(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_partials(target)
        partial = partial_name(target)
        try:
            if not (move and publish.has_linked(local, partial)):
                copy(local, partial)
            sync(partial)
            _publish(partial, target, overwrite=overwrite)
            sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)


def _publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(partial, target)
        return
    try:
        publish.without_replacing(partial, target)
    except TargetExists:
        if not _is_same(partial, target):
            raise


def copy(local: Path, partial: Path) -> None:
    """Write a new file with the same content, and prove it by reading it again."""
    digest, size = hashlib.sha256(), local.stat().st_size
    with local.open("rb") as src, partial.open("xb") as dst:
        while block := src.read(BLOCK_BYTES):
            digest.update(block)
            dst.write(block)
        dst.flush()
        os.fsync(dst.fileno())
    if partial.stat().st_size != size or sha256_file(partial) != digest.hexdigest():
        raise IntegrityBroken(f"The copy of {str(local)!r} differs from it.", hint="Check the disk of the target.")


def _is_same(local: Path, target: Path) -> bool:
    if target.stat().st_size != local.stat().st_size:
        return False
    return target.samefile(local) or sha256_file(target) == sha256_file(local)


def _check_existing(target: Path) -> None:
    """Replacing anything but a file (a device, say) would do harm that nobody asked for."""
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    if not modes.S_ISREG(mode):
        raise TargetUnwritable(f"{str(target)!r} is {_kind(mode)}, not a file.", hint="Name another output.")


def _nearest_folder(folder: Path) -> Path:
    """The folder itself or the nearest above it that is there. Raises NotADirectoryError if that is a file."""
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(0, "a part of the path is a file", str(folder))
    return folder


def _kind(mode: int) -> str:
    named = ((modes.S_ISDIR, "a folder"), (modes.S_ISLNK, "a link that leads nowhere"), (modes.S_ISFIFO, "a pipe"))
    return next((name for holds, name in named if holds(mode)), "a device or a socket")


def _store(settings: Settings) -> "ObjectStore":
    """boto3 takes a moment to load, and most jobs never need it."""
    from sr_tasks.storage.s3 import ObjectStore

    return ObjectStore(settings)
