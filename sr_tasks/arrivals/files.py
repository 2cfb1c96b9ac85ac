"""Files that arrive: what is known of one, whose job it is, and listings of prefixes and folders. Reads no content."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, InputUnreadable, SrError
from sr_tasks.storage import uris
from sr_tasks.storage.uris import LocalFile, Location, S3Object

if TYPE_CHECKING:
    from sr_tasks.storage.s3 import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """One version of one file."""

    uri: str
    version: str
    """Changes with the content: size and ETag of an object, size and time of writing of a local file."""
    size_bytes: int
    modified_s: float
    """When it was written, in seconds since 1970."""

    @property
    def job_id(self) -> str:
        """The same for the same version of the same file, however and however often it is found."""
        return f"arrival-{self.digest[:32]}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.uri}\n{self.version}".encode()).hexdigest()


def object_version(size_bytes: int, etag: str) -> str:
    """As in the identity of a source that `storage.transfer` gives; ETags come with and without quotes."""
    return f'{size_bytes}-"{etag.strip(chr(34))}"'


def listed(prefix: str, settings: Settings) -> Iterator[Arrived]:
    """Every file below a prefix or folder, one page or folder in memory at a time; links are not followed.

    Raises UriNotAllowed, InputUnreadable and StorageUnavailable: an outage is never an empty listing.
    """
    root = uris.parse(f"{prefix}_", settings)
    if isinstance(root, LocalFile):
        yield from _below(root.path.parent, settings)
        return
    from sr_tasks.storage.s3 import ObjectStore

    for found in ObjectStore(settings).listed(root.bucket, root.key.removesuffix("_")):
        location = _allowed(f"s3://{root.bucket}/{found.key}", settings)
        if location is not None:
            yield Arrived(
                uri=location.uri,
                version=object_version(found.size_bytes, found.etag),
                size_bytes=found.size_bytes,
                modified_s=found.modified_s,
            )


def looked_up(locations: Iterable[S3Object], store: "ObjectStore") -> Iterator[Arrived]:
    """The objects as they are now, without those that are gone. Raises InputUnreadable or StorageUnavailable."""
    for location in locations:
        try:
            info = store.head(location)
        except InputNotFound:
            logger.info("{} is gone already", location.uri)
            continue
        yield Arrived(
            uri=location.uri,
            version=object_version(info.size_bytes, info.etag),
            size_bytes=info.size_bytes,
            modified_s=info.modified_s,
        )


def is_inside(address: str, prefix: str) -> bool:
    """Whether an address begins with a prefix, however the two are written."""
    return plain(address).startswith(plain(prefix))


def plain(address: str) -> str:
    """One spelling of an address or prefix for comparing and cutting: `s3://...`, or a resolved path as it is.

    A slash at the end stays. Percent signs are decoded only behind `file:`, as `storage.uris` does.
    """
    if address.lower().startswith("s3:"):
        return f"s3:{address[3:]}"
    path = address
    if address.lower().startswith("file:"):
        path = os.fsdecode(unquote_to_bytes(os.fsencode(address[len("file:") :])))
        path = path[1:] if path.startswith("//") else path
    real = "/" + os.path.realpath(path).strip("/")
    return f"{real}/" if path.endswith("/") and real != "/" else real


def _below(folder: Path, settings: Settings) -> Iterator[Arrived]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        raise InputUnreadable(f"The folder {str(folder)!r} cannot be listed: {exc.strerror}.") from exc
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), settings)
        elif entry.is_file(follow_symlinks=False) and (location := _allowed(entry.path, settings)):
            facts = entry.stat(follow_symlinks=False)
            yield Arrived(
                uri=location.uri,
                version=f"{facts.st_size}-{facts.st_mtime_ns}",
                size_bytes=facts.st_size,
                modified_s=facts.st_mtime,
            )


def _allowed(address: str, settings: Settings) -> Location | None:
    try:
        return uris.parse(address, settings)
    except SrError as exc:
        if not address.endswith("/"):  # "folders" that consoles make
            logger.warning("Not taken: {}", exc)
        return None
