"""Atomic files: a name appears with its whole content or not at all, whenever the process dies."""

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sr_tasks.storage.failures import disk_full, is_full

STALE_AFTER_S = 24 * 3600.0
"""An attempt's file untouched for that long belongs to a dead attempt."""

_MAX_STEM_BYTES = 100
_MAX_SUFFIX_BYTES = 32


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give an attempt-private path beside `target`; on success flush it to disk and rename it, on failure remove it.

    The private name keeps the suffix, as muxers choose the format by it. Raises DiskFull.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_name(target)
    try:
        yield partial
        sync(partial)
        os.replace(partial, target)
        sync(target.parent)
    except OSError as exc:
        if is_full(exc.errno):
            raise disk_full(target.parent) from exc
        raise
    finally:
        partial.unlink(missing_ok=True)


def partial_name(target: Path) -> Path:
    """A private name for an attempt at `target`, in the same folder: `.<stem>.<random>.partial<suffix>`.

    A long stem is cut and a very long suffix left out, so that the name fits wherever the target's does.
    """
    stem, suffix = _parts(target)
    return target.with_name(f".{stem}.{secrets.token_hex(6)}.partial{suffix}")


def sweep_partials(target: Path, *, older_than_s: float = STALE_AFTER_S) -> list[Path]:
    """Remove what dead attempts at `target` left beside it and return their paths. Live attempts are untouched."""
    stem, suffix = _parts(target)
    attempt = re.compile(re.escape(f".{stem}.") + r"[0-9a-f]{12}\.partial" + re.escape(suffix))
    removed = []
    for path in target.parent.iterdir():
        if attempt.fullmatch(path.name) and is_stale(path, older_than_s):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def is_stale(path: Path, older_than_s: float = STALE_AFTER_S) -> bool:
    """Whether the file was last written longer ago than that; False if it is gone."""
    try:
        return time.time() - path.lstat().st_mtime > older_than_s
    except FileNotFoundError:
        return False


def everything_in(folder: Path) -> Iterator[Path]:
    """Every file and folder in it, at any depth. Others may remove some meanwhile, folders too; none is there twice."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def newest_write(folder: Path) -> float:
    """When anything in the folder, at any depth, was last written, as seconds since 1970; 0 if it is gone."""
    newest = 0.0
    for path in (folder, *everything_in(folder)):
        with contextlib.suppress(FileNotFoundError):  # somebody removed it meanwhile
            newest = max(newest, path.lstat().st_mtime)
    return newest


def write_text(target: Path, text: str) -> None:
    with replacing(target) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Flush a file or a folder's entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parts(target: Path) -> tuple[str, str]:
    stem = os.fsencode(target.stem)[:_MAX_STEM_BYTES].decode("utf-8", "ignore")
    suffix = target.suffix if len(os.fsencode(target.suffix)) <= _MAX_SUFFIX_BYTES else ""
    return stem, suffix
