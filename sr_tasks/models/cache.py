"""The cache of prepared models: one folder per key, complete when its marker is there. Builds and runs nothing."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loguru import logger
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from sr_tasks.models.prepared import PreparedModel
from sr_tasks.storage.atomic import replacing, write_text
from sr_tasks.storage.failures import writing

_GRAPH = "model.onnx"
_MARKER = "ready.json"


class _Marker(BaseModel):
    """Written last: an entry without it was never finished."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    onnx_sha256: str
    prepared: PreparedModel


class ModelCache:
    """Prepared models under `folder`, shared by any number of processes. All methods but `find` raise DiskFull or
    TargetUnwritable if the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, key: str) -> PreparedModel | None:
        """The finished entry, whole and unchanged to the byte, or None."""
        marker_path = self._folder / key / _MARKER
        try:
            marker = _Marker.model_validate_json(marker_path.read_bytes())
            found = hashlib.sha256((self._folder / key / _GRAPH).read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as exc:
            logger.warning("prepared model {} is damaged and will be built again: {}", key[:12], type(exc).__name__)
            return None
        if found != marker.onnx_sha256 or marker.prepared.key != key:
            logger.warning("prepared model {} is not what was stored and will be built again", key[:12])
            return None
        return _at(marker.prepared, self._folder / key / _GRAPH)

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Keep every other process and thread from building this entry; the system frees the lock of a dead one."""
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._folder / f".{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def put_graph(self, key: str, data: bytes) -> Path:
        """Store the ONNX file of an entry that is not finished, replacing what was there, and give its path."""
        entry = self._folder / key
        with writing(entry):
            (entry / _MARKER).unlink(missing_ok=True)
            with replacing(entry / _GRAPH) as partial:
                partial.write_bytes(data)
        return entry / _GRAPH

    def finish(self, prepared: PreparedModel) -> None:
        """Write the marker: from here on the entry is found."""
        with writing(prepared.onnx_path):
            marker = _Marker(
                onnx_sha256=hashlib.sha256(prepared.onnx_path.read_bytes()).hexdigest(),
                prepared=_at(prepared, Path(_GRAPH)),
            )
            write_text(prepared.onnx_path.with_name(_MARKER), marker.model_dump_json(indent=2))


def _at(prepared: PreparedModel, path: Path) -> PreparedModel:
    """The same with another path: the marker has none of its own, so that a cache may be moved."""
    fields = TypeAdapter(PreparedModel).dump_python(prepared)
    return TypeAdapter(PreparedModel).validate_python(fields | {"onnx_path": path})
