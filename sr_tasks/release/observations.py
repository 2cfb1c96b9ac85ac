"""Observations: what one job tells of a version, one small file each, and the evidence they add up to.

Kept under `<state_dir>/observations/<name>/<version>/`, which all machines share. Decides nothing.
"""

import heapq
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
from loguru import logger
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sr_tasks.errors import UsageError
from sr_tasks.registry.channels import Channels
from sr_tasks.release.rule import Evidence
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

KEPT: Final = 8192
"""Observations kept of a version; the oldest go first."""

BLAMED: Final = frozenset({"QUALITY_REFUSED", "INTEGRITY_BROKEN", "MODEL_REJECTED", "CHUNK_FAILED", "INTERNAL"})
"""Codes of failures that tell something of the model; the others tell something of the source, the disk or a person."""

Kind = Literal["job", "shadow"]
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PairedFrame(_Record):
    """One frame made small and enlarged again by both versions: PSNR of luma against the frame itself, in dB."""

    own_psnr: float
    other_psnr: float
    own_seconds: float = Field(gt=0)
    other_seconds: float = Field(gt=0)


class Observation(_Record):
    """What one job, or one shadowed chunk of it, tells of the version that did it."""

    name: str
    version: str
    job_id: str
    kind: Kind = "job"
    chunk: int | None = Field(default=None, description="Of kind shadow alone.")
    at: AwareDatetime
    error_code: str = Field(default="", description="Of a job that failed; empty for one that came through.")
    verdict: str = ""
    psnr_mean: float | None = Field(default=None, description="Down-scaled output against its source, dB.")
    psnr_worst: float | None = None
    ssim_mean: float | None = None
    seconds_per_megapixel: float | None = Field(default=None, description="Of work a megapixel of the source took.")
    device: str = ""
    other: str = Field(default="", description="The version it was paired with.")
    pairs: tuple[PairedFrame, ...] = ()
    broke_off: Literal["", "own", "other"] = Field(
        default="", description="Which of the two alone could not do the paired frames."
    )
    broke_off_why: str = ""

    @property
    def is_failed(self) -> bool:
        return self.error_code in BLAMED

    @property
    def tells_outcome(self) -> bool:
        """Whether it says how a job ended for the version: it came through, or failed by the model's fault."""
        return self.kind == "job" and (not self.error_code or self.is_failed)


class Observations:
    """The observations of all versions under `<state_dir>/observations/`."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "observations"

    def put(self, observation: Observation) -> Path:
        """Store it in place of an earlier one of the same job, kind and chunk. Raises DiskFull, TargetUnwritable."""
        folder = self._folder(observation.name, observation.version)
        chunk = "" if observation.chunk is None else f"-{observation.chunk:05d}"
        path = folder / f"{_part(observation.job_id)}.{observation.kind}{chunk}.json"
        with writing(folder):
            write_text(path, observation.model_dump_json(exclude_defaults=True))
            _trim(folder)
        return path

    def of(self, name: str, version: str, since: datetime | None = None) -> list[Observation]:
        """What is known of a version, oldest first. A file that cannot be read is left out and logged."""
        found = [one for one in _read(self._folder(name, version)) if since is None or one.at >= since]
        return sorted(found, key=lambda one: (one.at, one.job_id, one.kind, one.chunk or 0))

    def _folder(self, name: str, version: str) -> Path:
        return self._root / _part(name) / _part(version)


def candidate_since(channels: Channels) -> datetime | None:
    """When the present candidate was put out; a change of its share starts nothing anew. None if nobody noted it."""
    since = None
    for change in reversed(channels.history):
        if change.action == "candidate" and change.version == channels.candidate:
            since = change.at
        elif change.action != "retire":
            break
    return since


def evidence(candidate: Sequence[Observation], production: Sequence[Observation]) -> Evidence:
    """What observations of both versions add up to: of each job one difference, from all its paired frames, whichever
    version did it, and one outcome. Pairings with any other version are left out."""
    told: dict[str, list[tuple[float, float]]] = {}
    broke_off: dict[str, bool] = {}
    outcomes: dict[tuple[str, bool], bool] = {}
    versions = {True: {one.version for one in candidate}, False: {one.version for one in production}}
    labelled = [(one, True) for one in candidate] + [(one, False) for one in production]
    for one, is_candidate in sorted(labelled, key=lambda item: (item[0].at, item[0].job_id, item[0].chunk or 0)):
        if one.tells_outcome:
            outcomes[one.job_id, is_candidate] = one.is_failed
        if one.other not in (versions[not is_candidate] or {one.other}):
            continue
        if one.broke_off:
            broke_off[one.job_id] = (one.broke_off == "own") == is_candidate
        for pair in one.pairs:
            difference, ratio = pair.own_psnr - pair.other_psnr, pair.own_seconds / pair.other_seconds
            told.setdefault(one.job_id, []).append((difference, ratio) if is_candidate else (-difference, 1 / ratio))
    jobs = [np.array(values) for values in told.values()]
    return Evidence(
        differences_db=np.array([values[:, 0].mean() for values in jobs]),
        seconds_ratios=np.array([np.median(values[:, 1]) for values in jobs]),
        broke_off=np.array(list(broke_off.values()), bool),
        is_candidate=np.array([is_candidate for _, is_candidate in outcomes], bool),
        is_failed=np.array(list(outcomes.values()), bool),
    )


def _read(folder: Path) -> Iterator[Observation]:
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            yield Observation.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            continue  # trimmed meanwhile
        except (OSError, ValidationError) as exc:
            logger.warning("the observation {} cannot be read: {}", path, type(exc).__name__)


def _trim(folder: Path) -> None:
    with os.scandir(folder) as entries:
        files = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if entry.name.endswith(".json")]
    for _, name in heapq.nsmallest(max(0, len(files) - KEPT), files):
        (folder / name).unlink(missing_ok=True)


def _part(name: str) -> str:
    """Raises UsageError for what cannot name a file."""
    if not _PART.fullmatch(name):
        raise UsageError(f"{name!r} cannot name an observation.", hint="Letters, digits, '.', '_', '+' and '-'.")
    return name
