"""The job folder: what one job knows, as small JSON files that every step reads and writes. Knows no step."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, TypeVar

from loguru import logger
from pydantic import BaseModel, ValidationError

from sr_tasks.errors import IntegrityBroken, SrError, UsageError
from sr_tasks.jobs.failure import Failure
from sr_tasks.storage.atomic import write_text

Record = TypeVar("Record", bound=BaseModel)


class JobFolder:
    """`<workdir>/jobs/<job_id>/`. Every write is atomic, so a reader never sees half a file."""

    def __init__(self, workdir: Path, job_id: str) -> None:
        self.job_id = job_id
        self.path = workdir / "jobs" / folder_name(job_id)

    def store(self, name: str, record: BaseModel) -> None:
        self.store_json(name, record.model_dump(mode="json"))

    def store_json(self, name: str, value: object) -> None:
        write_text(self.path / f"{name}.json", json.dumps(value, indent=1, ensure_ascii=False))

    def load(self, name: str, kind: type[Record]) -> Record:
        """Raises IntegrityBroken if an earlier step did not leave the record."""
        try:
            return kind.model_validate(self.load_json(name))
        except ValidationError as exc:
            raise _unreadable(self.path / f"{name}.json") from exc

    def find(self, name: str, kind: type[Record]) -> Record | None:
        """The record for who looks at a job from outside: None if it is not there, or no more. A damaged one is logged
        and counts as missing."""
        if not self.has(name):
            return None
        try:
            return self.load(name, kind)
        except IntegrityBroken as exc:
            if self.has(name):
                logger.warning("{}", exc)
            return None

    def failure(self) -> Failure | None:
        """The error that a step stored; None for none."""
        return self.find("error", Failure)

    def load_json(self, name: str) -> Any:
        path = self.path / f"{name}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise _unreadable(path) from exc

    def clear(self) -> None:
        """Forget what an earlier run under the same id left. Fetched sources stay."""
        for path in self.path.glob("*.json"):
            path.unlink(missing_ok=True)
        for name in ("timings", "progress"):
            shutil.rmtree(self.path / name, ignore_errors=True)

    def forget(self, *names: str) -> None:
        for name in names:
            (self.path / f"{name}.json").unlink(missing_ok=True)

    def has(self, name: str) -> bool:
        return (self.path / f"{name}.json").is_file()

    def store_error(self, error: SrError, *, step: str = "", chunk: int | None = None) -> None:
        """Leave `error`: the error, and where and when it happened, with a fingerprint of its cause."""
        self.store("error", Failure.of(error, step=step, chunk=chunk))


def _unreadable(path: Path) -> IntegrityBroken:
    return IntegrityBroken(
        f"The job folder has no readable {path.name} ({path}).", hint="Run the job again from its first step."
    )


def folder_name(job_id: str) -> str:
    """A Dag run's id as one folder name. Raises UsageError for an id that is no name."""
    name = re.sub(r"[^A-Za-z0-9._+-]", "_", job_id)
    if not name.strip(".") or len(name) > 200:
        raise UsageError(f"The job id {job_id!r} cannot name a folder.", hint="Use up to 200 letters, digits, - and _.")
    return name
