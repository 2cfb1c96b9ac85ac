"""Watches the room left on a disk while something is written to it. Writes nothing itself."""

import time
from pathlib import Path

from sr_tasks.errors import DiskFull
from sr_tasks.storage.transfer import free_bytes

EVERY_S = 1.0


class SpaceWatch:
    """Call it as often as you like: it looks once a second."""

    def __init__(self, folder: Path, least_bytes: int) -> None:
        self._folder, self._least_bytes = folder, least_bytes
        self._looked_at = float("-inf")

    def __call__(self) -> None:
        """Raises DiskFull while there is still room for others to write what they must."""
        now = time.monotonic()
        if now - self._looked_at < EVERY_S:
            return
        self._looked_at = now
        free = free_bytes(self._folder)
        if free < self._least_bytes:
            raise DiskFull(
                f"{free / 1e6:.0f} MB are left in {self._folder}; {self._least_bytes / 1e6:.0f} MB must stay free.",
                hint="Free some space (`python -m sr_tasks purge` says what can go), or lower SR_MIN_FREE_BYTES.",
            )
