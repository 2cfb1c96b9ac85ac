"""Prepared models shared between machines, in a folder or a bucket. Whatever goes wrong there only warns."""

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from loguru import logger
from pydantic import ValidationError

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, IntegrityBroken, SrError
from sr_tasks.graphs.cache import FETCHING, GRAPH, MARKER, Marker, ModelCache, write_marker
from sr_tasks.storage import transfer, uris
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.failures import writing
from sr_tasks.storage.hashing import sha256_file

_FOLDER: Final = "prepared"
_MARKER_MAX_BYTES: Final = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class SharedModels:
    """Entries of the cache under `settings.store_uri`, by key; a machine finds there what another has built."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fetch(self, key: str, cache: ModelCache) -> bool:
        """Bring an entry that this machine does not have into `cache`, whole and proved by its hashes, if it is there.

        The caller holds the entry's lock. Raises DiskFull or TargetUnwritable for the cache.
        """
        if not self._settings.store_uri:
            return False
        with writing(cache.folder):
            cache.folder.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(prefix=f"{FETCHING}.", dir=cache.folder))
        try:
            self._fetch(key, cache, scratch)
        except InputNotFound:
            logger.debug("prepared model {} is not in {}", key[:12], self._settings.store_uri)
            return False
        except (SrError, ValidationError) as exc:
            logger.warning("prepared model {} cannot be had from {}: {}", key[:12], self._settings.store_uri, exc)
            return False
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        logger.info("prepared model {} was built by another machine and fetched", key[:12])
        return True

    def put(self, key: str, cache: ModelCache) -> None:
        """Offer a finished entry to other machines, its marker last."""
        if not self._settings.store_uri:
            return
        entry = cache.folder / key
        try:
            marker = Marker.model_validate_json((entry / MARKER).read_bytes())
            for name in [*marker.files, MARKER]:
                transfer.deliver(entry / name, self._location(key, name), self._settings, overwrite=True)
        except (SrError, OSError, ValidationError) as exc:
            logger.warning("prepared model {} is not shared by {}: {}", key[:12], self._settings.store_uri, exc)

    def _fetch(self, key: str, cache: ModelCache, scratch: Path) -> None:
        path = self._download(key, MARKER, scratch, _MARKER_MAX_BYTES)
        marker = Marker.model_validate_json(path.read_bytes())
        if marker.prepared.key != key or GRAPH not in marker.files:
            raise IntegrityBroken("its marker is of another model.")
        strange = [name for name in marker.files if not _NAME.fullmatch(name) or name == MARKER]
        if strange:
            raise IntegrityBroken(f"its marker names {strange[0]!r}.")
        graph = self._proved(key, GRAPH, marker, scratch)
        entry = cache.put_graph(key, graph.read_bytes()).parent
        for name in marker.files:
            if name != GRAPH:
                with writing(entry), replacing(entry / name) as partial:
                    shutil.copyfile(self._proved(key, name, marker, scratch), partial)
        with writing(entry):
            write_marker(entry, marker)

    def _proved(self, key: str, name: str, marker: Marker, scratch: Path) -> Path:
        path = self._download(key, name, scratch, self._settings.cache_max_bytes)
        if sha256_file(path) != marker.files[name]:
            raise IntegrityBroken(f"{name} is not what was stored.")
        return path

    def _download(self, key: str, name: str, scratch: Path, max_bytes: int) -> Path:
        location = self._location(key, name)
        size = transfer.stat(location, self._settings).size_bytes
        if size > max_bytes:
            raise IntegrityBroken(f"{name} has {size} bytes, more than {max_bytes}.")
        return transfer.fetch(location, scratch, self._settings)

    def _location(self, key: str, name: str) -> uris.Location:
        base = self._settings.store_uri.rstrip("/")
        return uris.parse(f"{base}/{_FOLDER}/{key}/{name}", self._settings)
