"""Which files of a prefix were accepted: a memory that spares asking Airflow again. Losing it costs time, no job."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.storage.atomic import write_text


class Ledger:
    """Job ids of one prefix, in one file of the state folder. One writer at a time: the Dag has one run at a time."""

    def __init__(self, prefix: str, settings: Settings) -> None:
        name = hashlib.sha256(prefix.encode()).hexdigest()[:16]
        self._path: Path = settings.state_dir / "arrivals" / f"{name}.json"
        self._ids = self._load()

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._ids

    def ids(self) -> list[str]:
        return sorted(self._ids)

    def add(self, job_ids: Iterable[str]) -> None:
        self._store(self._ids | set(job_ids))

    def keep_only(self, job_ids: Iterable[str]) -> None:
        """Forget files that are gone, so that the file does not grow without end."""
        self._store(self._ids & set(job_ids))

    def _store(self, ids: set[str]) -> None:
        if ids != self._ids:
            self._ids = ids
            write_text(self._path, json.dumps(sorted(ids)))

    def _load(self) -> set[str]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return set()
        except (OSError, ValueError) as exc:
            logger.warning("{} cannot be read and is begun anew: {}", self._path, exc)
            return set()
        return {str(job_id) for job_id in content} if isinstance(content, list) else set()
