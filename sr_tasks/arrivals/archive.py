"""Walking the archives: which files have no output that is up to date, in the order of the night. Changes nothing."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache, partial
from heapq import nsmallest
from pathlib import Path
from typing import Any

from loguru import logger
from pydantic import BaseModel, ConfigDict

from sr_tasks.arrivals.files import Arrived, listed, plain
from sr_tasks.arrivals.jobs import spec_of, watch_of
from sr_tasks.arrivals.rules import Rules, Watch
from sr_tasks.arrivals.up_to_date import NOT_OF_THE_PICTURE, why_stale
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs import manifest as manifests
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.registry.registry import Registry
from sr_tasks.storage import uris
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.uris import LocalFile, Location

MAX_CHOSEN = 10_000
"""Files one night looks forward to; the others are counted, and come another night."""

_MAX_MANIFEST_BYTES = 64 << 20


class Wanted(BaseModel):
    """One file that the night would enhance."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    conf: dict[str, Any]
    size_bytes: int
    modified_s: float
    reason: str


class Walk(BaseModel):
    """What a walk found."""

    model_config = ConfigDict(frozen=True)

    wanted: tuple[Wanted, ...]
    """In the order of the night, the first MAX_CHOSEN."""
    stale: int
    up_to_date: int
    refused: int
    device_s_per_byte: float | None
    """As outputs that are there have taken; None if there are none."""


def walk(rules: Rules, settings: Settings) -> Walk:
    """Look at every file of the archives and at its manifest. Raises what `files.listed` raises."""
    counts = {"stale": 0, "up_to_date": 0, "refused": 0}
    seen = _Seen()
    sign = -1 if rules.night.order == "newest" else 1
    found = nsmallest(
        MAX_CHOSEN, _stale(rules, settings, counts, seen), key=lambda one: (sign * one.modified_s, one.job_id)
    )
    return Walk(wanted=tuple(found), device_s_per_byte=seen.rate(), **counts)


def job_id(arrived: Arrived, spec: JobSpec, models: str) -> str:
    """Another one as soon as anything is different that decides the output."""
    decided = f"{spec.output} {spec.model_dump_json(exclude=set(NOT_OF_THE_PICTURE))}"
    digest = hashlib.sha256(f"{arrived.digest}\n{decided}\n{models}".encode()).hexdigest()
    return f"night-{digest[:32]}"


def work_s(output: str, settings: Settings) -> float | None:
    """Seconds of work that an output took by its manifest; None if it has none."""
    manifest = read_manifest(uris.parse(output, settings), settings)
    return _work_s(manifest) if manifest else None


def read_manifest(output: Location, settings: Settings) -> dict[str, Any] | None:
    """The manifest beside an output; None if there is none that can be read. Raises StorageUnavailable."""
    beside = output.with_name(f"{output.name}.manifest.json")
    try:
        return manifests.read(_content(beside, settings), str(beside))
    except FileNotFoundError:
        return None
    except (OSError, SrError) as exc:
        if isinstance(exc, SrError) and exc.retryable:
            raise
        logger.debug("{} does not count: {}", beside, exc)
        return None


class _Seen:
    """Work and bytes of finished outputs."""

    def __init__(self) -> None:
        self.work_s, self.size_bytes = 0.0, 0

    def add(self, work_s: float | None, size_bytes: int) -> None:
        if work_s is not None:
            self.work_s += work_s
            self.size_bytes += size_bytes

    def rate(self) -> float | None:
        return self.work_s / self.size_bytes if self.size_bytes else None


def _stale(rules: Rules, settings: Settings, counts: dict[str, int], seen: _Seen) -> Iterator[Wanted]:
    registry = Registry.of(settings)
    in_use = lru_cache(None)(partial(_versions, registry))
    models = json.dumps({name: sorted(in_use(name)) for name in registry.names()})
    for watch in rules.archives:
        present = _present(watch, settings)
        for arrived in listed(watch.prefix, settings):
            if watch_of(arrived, rules.archives) is not watch:
                continue
            try:
                spec = _behind_others(spec_of(arrived, watch, settings), watch)
            except SrError as exc:
                logger.warning("{} cannot be enhanced: {}", arrived.uri, exc)
                counts["refused"] += 1
                continue
            reason = _reason(arrived, spec, present, in_use, settings, seen)
            counts["stale" if reason else "up_to_date"] += 1
            if reason:
                yield Wanted(
                    job_id=job_id(arrived, spec, models),
                    conf=spec.model_dump(mode="json", exclude_defaults=True),
                    size_bytes=arrived.size_bytes,
                    modified_s=arrived.modified_s,
                    reason=reason,
                )


def _behind_others(spec: JobSpec, watch: Watch) -> JobSpec:
    """Jobs of the night give way to people's, unless the rules say otherwise."""
    return spec if "priority" in watch.job else spec.model_copy(update={"priority": "low"})


def _present(watch: Watch, settings: Settings) -> set[str]:
    """Addresses of what lies where the outputs go: one listing instead of a question a file."""
    root = uris.parse(f"{watch.output_root}_", settings)
    if isinstance(root, LocalFile) and not root.path.parent.is_dir():
        return set()
    return {plain(found.uri) for found in listed(watch.output_root, settings)}


def _reason(
    arrived: Arrived, spec: JobSpec, present: set[str], in_use: Any, settings: Settings, seen: _Seen
) -> str | None:
    output, source = uris.parse(str(spec.output), settings), uris.parse(arrived.uri, settings)
    if plain(output.uri) not in present or f"{plain(output.uri)}.manifest.json" not in present:
        return "there is no output with a manifest"
    manifest = read_manifest(output, settings)
    if manifest is None:
        return "its manifest cannot be read"
    cheap = partial(sha256_file, source.path) if isinstance(source, LocalFile) else None
    try:
        seen.add(_work_s(manifest), arrived.size_bytes)
        return why_stale(manifest, arrived, spec, in_use, cheap)
    except (KeyError, TypeError, ValueError) as exc:
        logger.warning("The manifest of {} is none: {!r}", output, exc)
        return "its manifest is none"


def _versions(registry: Registry, name: str) -> frozenset[str]:
    """Versions that jobs get; none for a model that is gone or broken."""
    try:
        channels = registry.channels(name)
    except SrError as exc:
        logger.warning("{}", exc)
        return frozenset()
    return frozenset(version for version in (channels.production, channels.candidate) if version)


def _work_s(manifest: dict[str, Any]) -> float | None:
    try:
        return float(manifest["timings_s"]["upscale"])
    except (KeyError, TypeError, ValueError):
        return None


def _content(location: Location, settings: Settings) -> bytes:
    if isinstance(location, LocalFile):
        return _local_content(location.path)
    from sr_tasks.storage.s3 import ObjectStore

    return ObjectStore(settings).read(location, _MAX_MANIFEST_BYTES)


def _local_content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_MANIFEST_BYTES)
