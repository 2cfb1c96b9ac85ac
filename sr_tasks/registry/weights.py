"""The files of a version: beside the card or fetched once a machine, and proved by hash before anything opens one.

Keeps a cache of fetched files. Parses nothing.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected
from sr_tasks.records.cards import Weights
from sr_tasks.storage import locks, transfer, uris
from sr_tasks.storage.atomic import is_stale, sync
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import sha256_file

MAX_BYTES = 2 << 30
"""What an ONNX file can hold; nothing larger is read into memory."""

_DAY_S = 24 * 3600.0
_SCRATCH = ".fetch-"


@dataclass(frozen=True, kw_only=True)
class WeightsCache:
    """Where fetched files are kept on this machine: `<folder>/<sha256>/<file>`, shared by its processes."""

    folder: Path
    settings: Settings
    """Say what may be fetched, and how much is kept."""

    @classmethod
    def of(cls, settings: Settings) -> "WeightsCache":
        return cls(folder=settings.workdir / "weights", settings=settings)

    def path_of(self, weights: Weights) -> Path:
        """Where the file is, or will be once it is fetched."""
        return self.folder / weights.sha256 / weights.file

    def fetched(self, weights: Weights, label: str) -> Path:
        """The file, fetched from `weights.uri` unless it is here already; its hash was right when it came.

        Raises ModelRejected for a file that is too large or another than the card's, UriNotAllowed, InputNotFound,
        InputUnreadable, StorageUnavailable, DiskFull and TargetUnwritable.
        """
        target = self.path_of(weights)
        if not target.is_file():
            with self._locked(weights.sha256):
                if not target.is_file():
                    self._fetch(weights, label, target)
                    self._evict(keep=target.parent)
        with writing(target):
            os.utime(target.parent)
        return target

    def drop(self, weights: Weights) -> None:
        """Forget a file that turned out to be damaged."""
        with writing(self.folder), self._locked(weights.sha256):
            self.path_of(weights).unlink(missing_ok=True)

    def _fetch(self, weights: Weights, label: str, target: Path) -> None:
        location = uris.parse(weights.uri, self.settings)
        size = transfer.stat(location, self.settings).size_bytes
        _refuse_large(size, self.settings.max_weights_bytes, weights.uri, label)
        logger.info("fetching {:.1f} MB of weights of {} from {}", size / 1e6, label, weights.uri)
        started = time.monotonic()
        with self._scratch() as scratch:
            source = transfer.fetch(location, scratch, self.settings)
            draft = scratch / "weights"
            with writing(draft):
                if source.parent == scratch:
                    os.replace(source, draft)
                else:
                    shutil.copyfile(source, draft)
                _require_hash(sha256_file(draft), weights, weights.uri, label)
                sync(draft)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft, target)
                sync(target.parent)
        logger.info("weights of {} fetched in {:.1f} s", label, time.monotonic() - started)

    def _evict(self, *, keep: Path) -> None:
        """Remove what nobody used for `cache_max_age_days`, then what was used longest ago until `cache_max_bytes`
        hold the rest. A file that is open stays readable for who has it open."""
        budget = self.settings.cache_max_bytes - _size(keep)
        oldest = time.time() - self.settings.cache_max_age_days * _DAY_S
        for path in sorted(self.folder.iterdir(), key=_last_used, reverse=True):
            if path == keep or not path.is_dir():
                continue
            if path.name.startswith(_SCRATCH):
                if is_stale(path):
                    shutil.rmtree(path, ignore_errors=True)  # another process may be at the same
                continue
            budget -= _size(path)
            if budget < 0 or _last_used(path) < oldest:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        with self._locked(path.name, wait=False) as is_ours:
            if is_ours:
                logger.info("removing weights {}... from the cache", path.name[:12])
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with writing(self.folder):
            scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.folder))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)  # what is left is swept as stale

    @contextmanager
    def _locked(self, sha256: str, *, wait: bool = True) -> Iterator[bool]:
        """Keep every other process and thread from changing this entry; without `wait`, say if that could be had."""
        with ExitStack() as held:
            with writing(self.folder):
                is_ours = held.enter_context(locks.locked(self.folder / f".{sha256}.lock", wait=wait))
            yield is_ours


def path_of(weights: Weights, folder: Path, label: str) -> Path:
    """Where a file lies, or would lie, beside the card in `folder`. Raises ModelRejected for a place outside."""
    path = folder / weights.file
    if Path(weights.file).name != weights.file or not path.resolve().is_relative_to(folder.resolve()):
        raise ModelRejected(
            f"The card of {label} names weights outside its folder: {weights.file!r}.",
            hint="Weights lie beside their card.",
        )
    return path


def read(weights: Weights, folder: Path, cache: WeightsCache | None, label: str) -> bytes:
    """The file's content, proved by its hash: the very bytes to be parsed, held once in memory.

    A fetched file that was damaged since is fetched again. Raises ModelRejected, and what `WeightsCache.fetched`
    raises.
    """
    if not weights.uri:
        return _proved(path_of(weights, folder, label), weights, label)
    path_of(weights, folder, label)
    kept = _cache(cache, weights, label)
    path = kept.fetched(weights, label)
    try:
        return _proved(path, weights, label)
    except ModelRejected as exc:
        logger.warning("{} It is fetched again.", exc.message)
        kept.drop(weights)
        return _proved(kept.fetched(weights, label), weights, label)


def locate(weights: Weights, folder: Path, cache: WeightsCache | None, label: str) -> Path:
    """A path with the file's content, proved by its hash just now, for readers that need a file. Raises as `read`."""
    path = path_of(weights, folder, label)
    if weights.uri:
        path = _cache(cache, weights, label).fetched(weights, label)
    try:
        _require_hash(sha256_file(path), weights, path, label)
    except OSError as exc:
        raise _unreadable(path, label, exc) from exc
    return path


def _proved(path: Path, weights: Weights, label: str) -> bytes:
    try:
        _refuse_large(path.stat().st_size, MAX_BYTES, path, label)
        data = path.read_bytes()
    except OSError as exc:
        raise _unreadable(path, label, exc) from exc
    _require_hash(hashlib.sha256(data).hexdigest(), weights, path, label)
    return data


def _require_hash(found: str, weights: Weights, where: object, label: str) -> None:
    if found != weights.sha256:
        raise ModelRejected(
            f"The weights {where} have sha256 {found[:12]}..., the card of {label} says {weights.sha256[:12]}....",
            hint="Restore the file the card was written for; nothing of it was loaded.",
        )


def _refuse_large(size: int, limit: int, where: object, label: str) -> None:
    if size > limit:
        raise ModelRejected(
            f"The weights {where} of {label} are {size} bytes; the limit is {limit}.",
            hint="An ONNX file holds up to 2 GiB, and SR_MAX_WEIGHTS_BYTES limits what is fetched.",
        )


def _unreadable(path: Path, label: str, exc: OSError) -> ModelRejected:
    return ModelRejected(
        f"The weights {path} of {label} cannot be read: {exc.strerror}.",
        hint="Restore the file, or remove this version of the model.",
    )


def _cache(cache: WeightsCache | None, weights: Weights, label: str) -> WeightsCache:
    if cache is None:
        raise ModelRejected(
            f"The weights of {label} lie at {weights.uri} and this registry was opened without a cache to fetch to.",
            hint="Open it with Registry.of(settings).",
        )
    return cache


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except FileNotFoundError:
        return 0
