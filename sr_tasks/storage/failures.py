"""The file system's errors in the words of the error tree: the one place where OSError is translated for deliveries."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sr_tasks.errors import DiskFull, InputNotFound, InputUnreadable, TargetUnwritable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_full(number: int | None) -> bool:
    """Whether an errno says that no more can be written: the disk, a quota or the largest file is reached."""
    return number in _FULL


def disk_full(what: object) -> DiskFull:
    return DiskFull(f"The disk of {str(what)!r} is full.", hint="Free some space; the job goes on from there.")


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Turn an OSError while a source is read into InputNotFound or InputUnreadable."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise InputNotFound(f"There is no file {str(what)!r}.", hint="Check the path and its spelling.") from exc
    except OSError as exc:
        raise InputUnreadable(f"{str(what)!r} cannot be read: {reason(exc)}.", hint="Check its permissions.") from exc


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Turn an OSError while a file is written into DiskFull or TargetUnwritable."""
    try:
        yield
    except OSError as exc:
        if is_full(exc.errno):
            raise disk_full(what) from exc
        raise TargetUnwritable(
            f"{str(what)!r} cannot be written: {reason(exc)}.", hint="Check the folder and its permissions."
        ) from exc


def reason(exc: OSError) -> str:
    """The system's own short text, without the path."""
    return (exc.strerror or type(exc).__name__).lower()
