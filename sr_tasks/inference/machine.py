"""How much memory this process may use: the machine's, or its control group's. Reads what the system says."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def memory_bytes() -> int:
    """All that there is, whether free just now or not."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *cgroup_limits(_CGROUPS, _OWN_CGROUP)])


def task_bytes(wanted: int) -> int:
    """What a task may have for itself: `wanted`, or three quarters of all there is if that is 0."""
    return wanted or memory_bytes() * 3 // 4


def cgroup_limits(root: Path, own: Path) -> Iterator[int]:
    """The limits of this process's control groups and of those around them, of either version."""
    if not own.is_file():
        return
    for line in own.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        folder, name = (root, "memory.max") if not controllers else (root / "memory", "memory.limit_in_bytes")
        if controllers and "memory" not in controllers.split(","):
            continue
        # In a container the path may be that of the host; then only the root is there, and is the container's own.
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            limit = folder / group / name
            text = limit.read_text(encoding="utf-8").strip() if limit.is_file() else "max"
            if text.isdigit():
                yield int(text)
