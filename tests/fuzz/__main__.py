"""`python -m tests.fuzz [FIRST] [COUNT]`: mutated files through whole jobs, some processes at once; 2000 by default."""

import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from tests.fuzz import jobs

COUNT = 2000
_BATCH = 40


def main(arguments: list[str]) -> int:
    first = int(arguments[0]) if arguments else 0
    count = int(arguments[1]) if len(arguments) > 1 else COUNT
    started, endings = time.monotonic(), Counter[str]()
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sr-fuzz-") as folder:
        seeds = jobs.make_seeds(Path(folder) / "seeds")
        for found in _all(first, count, seeds, Path(folder)):
            if isinstance(found, str):
                failures.append(found)
            else:
                endings[found.code or "delivered"] += 1
                if not found.is_fine:
                    failures.append(str(found))
    for failure in failures:
        print(f"FAILED {failure}")
    for code, number in endings.most_common():
        print(f"{number:6} {code}")
    print(f"{count} files, {len(failures)} failures after validate, {time.monotonic() - started:.0f} s")
    return 1 if failures else 0


def _all(first: int, count: int, seeds: dict[str, Path], folder: Path) -> Iterator[jobs.Ending | str]:
    """Endings as they come; a text for a batch whose process broke down."""
    batches = [range(at, min(at + _BATCH, first + count)) for at in range(first, first + count, _BATCH)]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        waiting = [threads.submit(_apart, batch, seeds, folder) for batch in batches]
        for future in as_completed(waiting):
            yield from future.result()


def _apart(numbers: range, seeds: dict[str, Path], folder: Path) -> list[jobs.Ending] | list[str]:
    """A batch in a process of its own, so that one that breaks down takes no other with it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(jobs.batch, numbers, seeds, folder).result()
        except BrokenProcessPool:
            return [f"{numbers}: the process broke down"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
