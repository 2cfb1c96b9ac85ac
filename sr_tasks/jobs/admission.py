"""Admission: which jobs may be at work at a time, and who is next. Small files under `<workdir>/admission/`.

Each job that waits writes a file and asks again every few seconds. All of them read the same files and apply the same
rule, so they agree on who is next without a server. The caller says which jobs are alive. The slot of a
job that is no longer alive is free, so a job that was killed holds up nobody. Starts no job and fetches nothing.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.storage.atomic import is_stale, write_text
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import name_of
from sr_tasks.storage.locks import locked

LOOK_EVERY_S: Final = 2.0
"""One look serves all that wait: Airflow is asked that often, however many they are."""
FORGOTTEN_AFTER_S: Final = 30.0
"""Whoever has not asked for that long is passed over until it asks again."""

CountLive = Callable[[list[str]], int]
"""How many of these jobs, by their ids, are queued or run."""

_ASKED_AT_ONCE = 100


class Applicant(BaseModel):
    """A job that asked to be admitted, as its file keeps it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    tenant: str = ""
    weight: int
    """The higher goes first."""
    accepted_s: float
    """When its run was created, in seconds since 1970; decides between equal weights."""
    is_admitted: bool = False
    is_back: bool = False
    """It was not asked for during FORGOTTEN_AFTER_S before its latest turn, and has to let others speak first once."""

    @property
    def order(self) -> tuple[int, float, str]:
        """Sorts those who go first to the front."""
        return -self.weight, self.accepted_s, self.job_id


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many jobs may be at work at a time: at all, by tenant, and of each tenant that is not named."""

    at_once: int
    tenants: Mapping[str, int]
    others: int | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises UsageError for an SR_TENANT_LIMITS that cannot be meant."""
        named: dict[str, int] = {}
        for part in settings.tenant_limits:
            tenant, sign, count = part.partition("=")
            if not tenant or not sign or tenant in named or not (count.isascii() and count.isdigit() and int(count)):
                raise UsageError(
                    f"SR_TENANT_LIMITS has {part!r}, which is no limit of a tenant of its own.",
                    hint="An example: SR_TENANT_LIMITS=acme=1:beta=2:*=3, each from 1 up.",
                )
            named[tenant] = int(count)
        others = named.pop("*", None)
        return cls(at_once=settings.jobs_at_once, tenants=named, others=others)

    def of_tenant(self, tenant: str) -> int:
        limit = self.tenants.get(tenant, self.others)
        return self.at_once if limit is None else limit


def chosen(waiting: Sequence[Applicant], admitted: Sequence[Applicant], limits: Limits) -> list[Applicant]:
    """Who of those that wait may go now, in their order. One whose tenant is at its limit holds up nobody else."""
    by_tenant = Counter(applicant.tenant for applicant in admitted)
    room = limits.at_once - len(admitted)
    going: list[Applicant] = []
    for applicant in sorted(waiting, key=lambda one: one.order):
        if len(going) >= room:
            break
        if by_tenant[applicant.tenant] < limits.of_tenant(applicant.tenant):
            by_tenant[applicant.tenant] += 1
            going.append(applicant)
    return going


class Admissions:
    """The applicants of a deployment. A job admits itself, at its turn, so none is admitted that nobody carries on.

    Any number of machines may use one folder. Methods that change it raise DiskFull and TargetUnwritable.
    """

    def __init__(self, workdir: Path) -> None:
        self._folder = workdir / "admission"
        self._look = self._folder / "look.json"

    def ask(self, applicant: Applicant, limits: Limits, count_live: CountLive) -> bool:
        """Whether this job may go on; from then on it counts until it ends or is released. May be repeated.

        Raises what `count_live` raises.
        """
        with writing(self._folder):
            with self._locked():
                own, silent_s = self._seen(applicant)
                if own.is_admitted or own.is_back or not (silent_s is None or self._is_due(own)):
                    return own.is_admitted
            # Not under the lock: Airflow may take its time to answer, and steps of other jobs must not wait for it.
            ended = self._ended(count_live)
            with self._locked():
                self._drop(ended)
                return applicant.job_id not in ended and self._decided(applicant, limits, silent_s or 0.0)

    def count(self, applicant: Applicant) -> None:
        """Count a job that is at work without having asked since, as one whose later tasks alone were run again."""
        known = self._load(self._path(applicant.job_id))
        if known is None or not known.is_admitted:
            with writing(self._folder), self._locked():
                self._store(applicant.model_copy(update={"is_admitted": True}))

    def release(self, job_id: str) -> None:
        """Count a job no longer, as while it waits for a person."""
        with writing(self._folder), self._locked():
            self._path(job_id).unlink(missing_ok=True)

    def waiting(self, count_live: CountLive) -> int:
        """How many jobs wait to be admitted. Raises what `count_live` raises."""
        waiting = [one.job_id for one in self._known().values() if not one.is_admitted]
        return len(_live(waiting, count_live))

    def ahead_of(self, job_id: str) -> int | None:
        """How many of those that wait go before this job, as far as the files say; None if it does not wait."""
        own = self._load(self._path(job_id))
        if own is None or own.is_admitted:
            return None
        return sum(1 for one in self._known().values() if not one.is_admitted and one.order < own.order)

    def _seen(self, applicant: Applicant) -> tuple[Applicant, float | None]:
        """The applicant as it is known from now on, and for how long it had not asked; None if it never had."""
        path = self._path(applicant.job_id)
        known = self._load(path)
        if known is None:
            self._store(applicant)
            return applicant, None
        before_s = _written_s(path)
        os.utime(path)
        silent_s = _written_s(path) - before_s
        # After a silence those that were silent with it are heard first, or the first to ask would go. Only once: on a
        # machine so slow that all are silent between two turns, somebody must go at the second.
        is_back = silent_s > FORGOTTEN_AFTER_S and not known.is_back
        if known.is_back != is_back and not known.is_admitted:
            known = known.model_copy(update={"is_back": is_back})
            self._store(known)
        return known, silent_s

    def _is_due(self, own: Applicant) -> bool:
        """Whether it is time for a look, or the last one found that this job may go."""
        look = _content(self._look)
        going = look.get("going") if look else None
        if not isinstance(going, list) or own.job_id in going:
            return True
        # Both times are the file system's, so machines need not agree on one.
        return _written_s(self._path(own.job_id)) - _written_s(self._look) >= LOOK_EVERY_S

    def _decided(self, applicant: Applicant, limits: Limits, silent_s: float) -> bool:
        """`silent_s`: for how long this job had not been asked for. Others may be as slow, and still count."""
        own, _ = self._seen(applicant)
        patience_s = max(FORGOTTEN_AFTER_S, 2 * silent_s)
        if own.is_admitted:
            return True
        now_s = _written_s(self._path(own.job_id))
        known = self._known()
        waiting = [one for path, one in known.items() if not one.is_admitted and now_s - _written_s(path) <= patience_s]
        going = chosen(waiting, [one for one in known.values() if one.is_admitted], limits)
        if len(waiting) > 1:
            write_text(self._look, json.dumps({"going": [one.job_id for one in going]}))
        if all(one.job_id != own.job_id for one in going):
            return False
        self._store(own.model_copy(update={"is_admitted": True}))
        return True

    def _ended(self, count_live: CountLive) -> dict[str, float]:
        """Jobs that are known and do not live, each with the time at which its file was written last."""
        written = {one.job_id: _written_s(path) for path, one in self._known().items()}
        live = set(_live(sorted(written), count_live))
        return {job_id: at for job_id, at in written.items() if job_id not in live}

    def _drop(self, ended: Mapping[str, float]) -> None:
        """Forget jobs that ended, but not one that has asked again meanwhile, and what killed writers left."""
        for job_id, at in ended.items():
            path = self._path(job_id)
            if _written_s(path) == at:
                path.unlink(missing_ok=True)
        for path in self._folder.glob(".*.partial.json"):
            if is_stale(path):
                path.unlink(missing_ok=True)

    def _known(self) -> dict[Path, Applicant]:
        paths = [path for path in self._folder.glob("*.json") if path.name[0] != "." and path != self._look]
        return {path: one for path in paths if (one := self._load(path)) is not None}

    def _load(self, path: Path) -> Applicant | None:
        content = _content(path)
        try:
            return None if content is None else Applicant.model_validate(content)
        except ValidationError as exc:
            logger.warning("{} is no applicant, and is taken for none: {}", path, exc)
            return None

    def _store(self, applicant: Applicant) -> None:
        write_text(self._path(applicant.job_id), applicant.model_dump_json())

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{name_of(job_id)}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Held for milliseconds."""
        with locked(self._folder / ".lock"):
            yield


def _live(job_ids: list[str], count_live: CountLive) -> list[str]:
    """The living ones, found by counts alone: as Airflow tells a task no more of many runs at once."""
    if len(job_ids) > _ASKED_AT_ONCE:
        return _live(job_ids[:_ASKED_AT_ONCE], count_live) + _live(job_ids[_ASKED_AT_ONCE:], count_live)
    count = count_live(job_ids) if job_ids else 0
    if count in (0, len(job_ids)):
        return job_ids if count else []
    half = len(job_ids) // 2
    return _live(job_ids[:half], count_live) + _live(job_ids[half:], count_live)


def _content(path: Path) -> dict[str, object] | None:
    """What a file holds; None if it is gone, or no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        logger.warning("{} cannot be read, and is taken for none: {}", path, exc)
        return None
    return content if isinstance(content, dict) else None


def _written_s(path: Path) -> float:
    """When the file was written last, in seconds since 1970; 0 if it is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
