"""Gives a finished file its final name without ever replacing another one. Knows nothing of what is in it.

`os.replace` would silently overwrite a file that appeared a moment ago, so it is the last resort. A hard link fails
if the name exists; so does renameat2 with RENAME_NOREPLACE, which Python does not offer and is called by ctypes.
Network file systems support one, the other or neither: keep all three ways, in this order.
"""

import ctypes
import errno
import os
from pathlib import Path

from loguru import logger

from sr_tasks.errors import TargetExists

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EMLINK, errno.EXDEV})


def without_replacing(partial: Path, target: Path) -> None:
    """Name `partial` also `target`; the first of two attempts wins. Raises TargetExists and OSError.

    By a hard link, or by a rename that does not replace where the file system has no links. Where it has neither, a
    look and a rename are two steps with a moment between them, which is logged.
    """
    try:
        if not (has_linked(partial, target) or has_renamed(partial, target)):
            logger.warning("{} has no exclusive renames; only a look before protects the target", target.parent)
            if target.exists():
                raise exists(target)
            os.replace(partial, target)
    except FileExistsError as exc:
        raise exists(target) from exc


def has_linked(source: Path, name: Path) -> bool:
    """Give `source` a second name; False if the file system cannot. Raises FileExistsError and other OSErrors."""
    try:
        os.link(source, name)
    except OSError as exc:
        if exc.errno in _UNSUPPORTED:
            return False
        raise
    return True


def exists(target: Path) -> TargetExists:
    return TargetExists(f"{str(target)!r} exists already.", hint="Name another output or allow overwriting.")


def has_renamed(source: Path, name: Path) -> bool:
    """Whether the file was given its name, without taking the place of another one. False: the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    result = library.renameat2(
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(source)),
        _AT_FDCWD,
        ctypes.c_char_p(os.fsencode(name)),
        _RENAME_NOREPLACE,
    )
    code = ctypes.get_errno() if result else 0
    if code and code not in _UNSUPPORTED:
        raise OSError(code, os.strerror(code), str(source), None, str(name))
    return not code
