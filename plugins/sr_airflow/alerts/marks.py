"""A mark in the job's folder while a try of a step runs: what is left of it says that its process was killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from loguru import logger

from sr_tasks.jobs.folder import JobFolder


@contextmanager
def marked(folder: JobFolder, step: str, chunk: int | None) -> Iterator[None]:
    """Leave a mark while the block runs. Without a mark a job runs as well, so one that cannot be made is only logged.

    What the block raises passes.
    """
    path = _path(folder, step, chunk)
    leave(folder, step, chunk)
    try:
        yield
    finally:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            logger.warning("the mark {} could not be removed: {}", path, exc)


def leave(folder: JobFolder, step: str, chunk: int | None) -> None:
    """Make a mark that stays: it has no content, so it fits where nothing else can be written."""
    path = _path(folder, step, chunk)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as exc:
        logger.warning("the mark {} could not be made: {}", path, exc)


def dead_steps(folder: JobFolder, began: datetime | None) -> list[tuple[str, int | None]]:
    """Step and chunk of each mark that was left since then."""
    found = []
    for path in sorted((folder.path / "running").glob("*")):
        if began is None or path.stat().st_mtime >= began.timestamp() - 60.0:
            step, _, chunk = path.name.partition(".")
            found.append((step, int(chunk) if chunk.isdigit() else None))
    return found


def _path(folder: JobFolder, step: str, chunk: int | None) -> Path:
    return folder.path / "running" / (step if chunk is None else f"{step}.{chunk}")
