"""Locks between processes and threads: the one place that calls `flock`.

A lock is a file that a process holds open. The system frees it when the process ends, SIGKILL included, so nothing is
ever cleared up by hand. A lock belongs to one opening of the file: two threads of a process keep each other out too. A
child that was forked shares the handle of its parent; who must tell the two apart compares process ids
(`inference.lease`). Reads and writes nothing in the file.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def acquire(path: Path, *, wait: bool = True, shared: bool = False) -> int | None:
    """Take the lock at `path`, which is made with its folder if need be; give a handle for `release`.

    None if another has it and `wait` is False. Any number of holders may have a `shared` lock, and none of them beside
    the holder of another one. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, how)
            if _is_at(path, handle):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def release(handle: int) -> None:
    os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock at `path` in the block. Gives False if another has it, which only happens without `wait`.

    Raises OSError.
    """
    handle = acquire(path, wait=wait)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            release(handle)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock at `path` now. Makes no file. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _is_at(path: Path, handle: int) -> bool:
    """Whether the file is still there. Its last holder may have removed it: a lock on that one keeps nobody out."""
    try:
        return os.fstat(handle).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
