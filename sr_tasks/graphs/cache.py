"""The cache of prepared models: one folder per key, complete when its marker is there. Builds and runs nothing."""

import contextlib
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from loguru import logger
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sr_tasks.records.prepared import PreparedModel
from sr_tasks.storage import locks
from sr_tasks.storage.atomic import everything_in, is_stale, replacing, write_text
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import sha256_file

GRAPH: Final = "model.onnx"
MARKER: Final = "ready.json"

IN_USE_S: Final = 48 * 3600.0
"""An entry found or opened within that time may be one that a job is about to open: it is never evicted."""

FETCHING: Final = ".fetching"
"""What the names of folders begin with that entries are fetched into."""

_KEY = re.compile(r"[0-9a-f]{64}")
_TRASH = ".evicted"
_WAITING_LOGGED_S = 15.0


class Marker(BaseModel):
    """Written last: an entry without it was never finished."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: dict[str, str]
    """sha256 of every file of the entry, by its path in it: the graph, and what a runtime compiled from it."""
    prepared: PreparedModel


class ModelCache:
    """Prepared models under `folder`, shared by any number of processes. All methods but `find` raise DiskFull or
    TargetUnwritable if the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: str) -> PreparedModel | None:
        """The finished entry, whole and unchanged to the byte, or None. What is found counts as used now."""
        entry = self.folder / key
        try:
            marker = Marker.model_validate_json((entry / MARKER).read_bytes())
            changed = [name for name, digest in marker.files.items() if sha256_file(entry / name) != digest]
            if changed or GRAPH not in marker.files or marker.prepared.key != key:
                logger.warning("prepared model {} is not what was stored and will be built again", key[:12])
                return None
            # Last, so that an entry which is being evicted meanwhile is either spared or not found.
            os.utime(entry / MARKER)
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as exc:
            logger.warning("prepared model {} is damaged and will be built again: {}", key[:12], type(exc).__name__)
            return None
        return _at(marker.prepared, entry / GRAPH)

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Keep every other process and thread from building this entry; the system frees the lock of a dead one."""
        handle = self._lock(key)
        if handle is None:
            logger.info("another process prepares this model: waiting for it")
            started = logged = time.monotonic()
            while handle is None:
                time.sleep(0.1)
                if time.monotonic() - logged > _WAITING_LOGGED_S:
                    logged = time.monotonic()
                    logger.info("still waiting for the other process, {:.0f} s so far", logged - started)
                handle = self._lock(key)
        try:
            yield
        finally:
            self._unlock(key, handle)

    def put_graph(self, key: str, data: bytes) -> Path:
        """Store the ONNX file of an entry that is not finished, instead of whatever was there, and give its path."""
        entry = self.folder / key
        with writing(entry):
            (entry / MARKER).unlink(missing_ok=True)
            if entry.is_dir():
                shutil.rmtree(entry)
            with replacing(entry / GRAPH) as partial:
                partial.write_bytes(data)
        return entry / GRAPH

    def finish(self, prepared: PreparedModel) -> None:
        """Write the marker: from here on the entry is found, with all files that lie in it now."""
        entry = prepared.onnx_path.parent
        with writing(entry):
            files = {str(path.relative_to(entry)): sha256_file(path) for path in files_of(entry)}
            write_marker(entry, Marker(files=files, prepared=_at(prepared, Path(GRAPH))))

    def evict(self, *, max_bytes: int, max_age_days: float) -> tuple[str, ...]:
        """Remove what was not used for `max_age_days`, then what was unused longest until the rest has `max_bytes`.

        Entries in use or being built are spared, also where the rest is too large then. Gives the keys removed.
        """
        if not self.folder.is_dir():
            return ()
        with writing(self.folder):
            self._sweep()
            entries = sorted((_last_use(path), path) for path in self.folder.iterdir() if _KEY.fullmatch(path.name))
            sizes = {path: _size(path) for _, path in entries}
            total, now, removed = sum(sizes.values()), time.time(), []
            for used, path in entries:
                if now - used <= IN_USE_S or (now - used <= max_age_days * 86400 and total <= max_bytes):
                    continue
                if self._remove(path):
                    total -= sizes[path]
                    removed.append(path.name)
        if removed:
            logger.info("{} prepared models that were not used any more were removed", len(removed))
        if total > max_bytes:
            logger.warning("prepared models in use take {} bytes, the limit is {}", total, max_bytes)
        return tuple(removed)

    def _remove(self, entry: Path) -> bool:
        """Take an entry away unless somebody builds it or has just found it."""
        handle = self._lock(entry.name)
        if handle is None:
            return False
        try:
            trash = self.folder / f"{_TRASH}.{entry.name}"
            shutil.rmtree(trash, ignore_errors=True)  # of an eviction that was killed
            if not entry.is_dir():  # another process was faster
                return False
            os.rename(entry, trash)
            if time.time() - _last_use(trash) <= IN_USE_S:
                os.rename(trash, entry)
                return False
            shutil.rmtree(trash)
            return True
        finally:
            self._unlock(entry.name, handle)

    def _sweep(self) -> None:
        """Remove what evictions and downloads left that were killed."""
        for path in self.folder.iterdir():
            if path.name.startswith(FETCHING) and is_stale(path):
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.startswith(_TRASH) and is_stale(path):
                key = path.name.removeprefix(f"{_TRASH}.")
                if (handle := self._lock(key)) is not None:  # else it is being evicted just now
                    shutil.rmtree(path, ignore_errors=True)
                    self._unlock(key, handle)

    def _lock(self, key: str) -> int | None:
        """A handle on the lock of an entry, or None if another has it."""
        with writing(self.folder):
            return locks.acquire(self.folder / f".{key}.lock", wait=False)

    def _unlock(self, key: str, handle: int) -> None:
        (self.folder / f".{key}.lock").unlink(missing_ok=True)
        locks.release(handle)


def write_marker(entry: Path, marker: Marker) -> None:
    write_text(entry / MARKER, marker.model_dump_json(indent=2))


def note_use(prepared: PreparedModel) -> None:
    """Keep an entry that is opened from being evicted. Nothing happens to one that is still being proved."""
    try:
        os.utime(prepared.onnx_path.with_name(MARKER))
    except FileNotFoundError:
        return
    except OSError as exc:
        logger.debug("the use of prepared model {} cannot be noted: {}", prepared.key[:12], exc.strerror)


def files_of(entry: Path) -> list[Path]:
    """What belongs to an entry: neither the marker nor unfinished files and folders."""
    found = (path for path in sorted(everything_in(entry)) if path.is_file() and path.name != MARKER)
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(entry).parts)]


def _size(entry: Path) -> int:
    total = 0
    for file in files_of(entry):
        with contextlib.suppress(FileNotFoundError):  # being built or evicted by another process
            total += file.stat().st_size
    return total


def _last_use(entry: Path) -> float:
    """When it was used last, or begun if it is not finished; infinite for one that is gone."""
    for path in (entry / MARKER, entry):
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
    return math.inf


def _at(prepared: PreparedModel, path: Path) -> PreparedModel:
    """The same with another path: the marker has none of its own, so that a cache may be moved."""
    fields = TypeAdapter(PreparedModel).dump_python(prepared)
    return TypeAdapter(PreparedModel).validate_python(fields | {"onnx_path": path})
