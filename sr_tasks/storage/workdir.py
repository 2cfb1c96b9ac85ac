"""The chunk store: finished chunks of a plan, shared by the jobs that have the same one. Never looks into a chunk."""

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.errors import ChunkMissing, UsageError
from sr_tasks.storage import failures
from sr_tasks.storage.atomic import is_stale, newest_write, partial_name, sync, write_text
from sr_tasks.storage.hashing import name_of
from sr_tasks.storage.locks import locked

_FINGERPRINT = re.compile(r"[0-9A-Za-z_-]{8,128}")


class ChunkStore:
    """`<workdir>/chunks/<fingerprint>/`: `00000.nut` is a chunk and `00000.json` its marker.

    A chunk counts once its marker is there. The fingerprint stands for all that decides what is in the chunks, so jobs
    with the same one share them. Any number of attempts and jobs may be at work in it at once. Raises UsageError for a
    fingerprint that cannot name a folder.
    """

    def __init__(self, workdir: Path, fingerprint: str) -> None:
        if not _FINGERPRINT.fullmatch(fingerprint):
            raise UsageError(
                f"{fingerprint!r} is not a fingerprint.", hint="It is 8 to 128 letters, digits, - or _ long."
            )
        self.fingerprint = fingerprint
        self.path = workdir / "chunks" / fingerprint
        self._trash = workdir / "trash"
        self._users = self.path / "users"

    def chunk_path(self, index: int) -> Path:
        return self.path / f"{index:05d}.nut"

    def marker_path(self, index: int) -> Path:
        return self.path / f"{index:05d}.json"

    def partial(self, index: int) -> Path:
        """A name of its own for one attempt at a chunk. Raises ChunkMissing if no job is registered any more."""
        if not self._users.is_dir():
            raise self._gone(index)
        return partial_name(self.chunk_path(index))

    def commit(self, index: int, partial: Path, marker: Mapping[str, Any]) -> dict[str, Any]:
        """Make an attempt's file the chunk, then write its marker, and return the marker that counts.

        The first of two attempts wins, so a committed chunk never changes; the later one's file is removed. `marker` is
        any JSON object; the index, the fingerprint and the size are added to it. Raises ChunkMissing if the file or the
        whole store was removed meanwhile, DiskFull and TargetUnwritable.
        """
        with failures.writing(self.chunk_path(index)):
            try:
                sync(partial)
                with self._locked():
                    return self._commit(index, partial, marker)
            except FileNotFoundError as exc:
                raise self._gone(index) from exc

    def committed(self, index: int) -> dict[str, Any] | None:
        """The marker of a finished chunk; None if the chunk is to be computed (again)."""
        try:
            marker = json.loads(self.marker_path(index).read_text(encoding="utf-8"))
            size = self.chunk_path(index).stat().st_size
        except FileNotFoundError:
            return None
        except ValueError:
            logger.warning("the marker of chunk {} is damaged; the chunk is computed again", index)
            return None
        if not isinstance(marker, dict) or marker.get("fingerprint") != self.fingerprint:
            return None
        return marker if marker.get("size_bytes") == size else None

    def register(self, job_id: str) -> None:
        """Note that a job uses these chunks, and remove what dead attempts left. Raises DiskFull, TargetUnwritable."""
        with failures.writing(self.path), self._locked():
            self._users.mkdir(parents=True, exist_ok=True)
            user = self._user(job_id)
            if not user.exists():
                write_text(user, job_id)
            for path in self.path.iterdir():
                if ".partial" in path.name and is_stale(path):
                    path.unlink(missing_ok=True)

    def release(self, job_id: str, *, keep: bool = False) -> bool:
        """Note that a job is done with these chunks; True if it was the last one and they were removed.

        With `keep` they stay for a later job even then. May be repeated. What a killed release left half removed is
        removed as well.
        """
        with failures.writing(self.path):
            with self._locked():
                self._user(job_id).unlink(missing_ok=True)
                is_last = self.path.is_dir() and not (self._users.is_dir() and any(self._users.iterdir()))
                if is_last and not keep:
                    self._trash.mkdir(parents=True, exist_ok=True)
                    self.path.rename(self._trash / f"{self.fingerprint}.{secrets.token_hex(6)}")
            self._empty_trash()
        return is_last and not keep

    def users(self) -> frozenset[str]:
        """Ids of the jobs that are registered."""
        found = set()
        with contextlib.suppress(FileNotFoundError):  # there is no store, or not any more
            for path in self._users.iterdir():
                if path.name.startswith("."):
                    continue
                with contextlib.suppress(FileNotFoundError):  # released meanwhile
                    found.add(path.read_text(encoding="utf-8"))
        return frozenset(found)

    def discard(self, users: frozenset[str], *, older_than_s: float) -> bool:
        """Remove all chunks, unless other jobs than these have registered or something was written meanwhile."""
        with failures.writing(self.path):
            with self._locked():
                is_gone = not self.path.is_dir()
                if is_gone or self.users() - users or newest_write(self.path) > time.time() - older_than_s:
                    return False
                self._trash.mkdir(parents=True, exist_ok=True)
                self.path.rename(self._trash / f"{self.fingerprint}.{secrets.token_hex(6)}")
            self._empty_trash()
        return True

    def _commit(self, index: int, partial: Path, marker: Mapping[str, Any]) -> dict[str, Any]:
        size = partial.stat().st_size
        if (earlier := self.committed(index)) is not None:
            partial.unlink()
            return earlier
        # A marker beside the wrong chunk must not count, not even for a moment.
        self.marker_path(index).unlink(missing_ok=True)
        os.replace(partial, self.chunk_path(index))
        sync(self.path)
        entry = {**marker, "index": index, "fingerprint": self.fingerprint, "size_bytes": size}
        write_text(self.marker_path(index), json.dumps(entry, indent=1))
        return entry

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One lock for the store of a workdir, held for milliseconds."""
        with locked(self.path.parent / ".lock"):
            yield

    def _empty_trash(self) -> None:
        with contextlib.suppress(FileNotFoundError):  # somebody else emptied it
            for folder in self._trash.iterdir():
                shutil.rmtree(folder)

    def _user(self, job_id: str) -> Path:
        return self._users / name_of(job_id)

    def _gone(self, index: int) -> ChunkMissing:
        return ChunkMissing(
            f"The folder of chunk {index} was cleared while it was computed.", hint="Run the job again."
        )
