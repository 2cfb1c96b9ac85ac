"""Where sources and outputs lie: turns what a user wrote into a checked location. Opens no file and asks no server."""

import os
import re
import urllib.parse
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from sr_tasks.config import Settings
from sr_tasks.errors import UriNotAllowed

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_MAX_KEY_BYTES = 1024
_SCHEME_HINT = "Use a path, file:///folder/name or s3://bucket/key; a file with a colon in its name is written ./name."


@dataclass(frozen=True)
class LocalFile:
    """A path on this machine: absolute, with symbolic links resolved, so what was checked is what is opened."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        """`.mp4`, with its dot; empty if there is none."""
        return self.path.suffix

    @property
    def uri(self) -> str:
        """`file:///...`, percent-encoded; `parse` reads it back to the same location."""
        return "file://" + urllib.parse.quote(os.fsencode(self.path))

    def with_name(self, name: str) -> "LocalFile":
        """The neighbour called `name`. Raises UriNotAllowed if that is not the plain name of a file."""
        return LocalFile(self.path.with_name(_plain_name(name)))

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class S3Object:
    """An object of a bucket. The key is taken as it is written: nothing in it is decoded."""

    bucket: str
    key: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """`.mp4`, with its dot; empty if there is none."""
        return PurePosixPath(self.key).suffix

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def with_name(self, name: str) -> "S3Object":
        """The neighbour called `name`. Raises UriNotAllowed if that is not the plain name of a file."""
        folder, slash, _ = self.key.rpartition("/")
        return S3Object(self.bucket, f"{folder}{slash}{_plain_name(name)}")

    def __str__(self) -> str:
        return self.uri


Location = LocalFile | S3Object


def parse(text: str, settings: Settings) -> Location:
    """Read a path, `file:///path` or `s3://bucket/key`; relative paths start at the current folder.

    Nothing needs to exist. Raises UriNotAllowed for any other scheme, for an empty text or one with a NUL, and for
    what lies outside `allowed_roots` or `allowed_buckets` once symbolic links and `..` are resolved.
    """
    if not text.strip():
        raise UriNotAllowed("The address of a file is empty.", hint=_SCHEME_HINT)
    head, colon, rest = text.partition(":")
    if not colon or "/" in head:
        return _local(_encoded(text), text, settings)
    match head.lower():
        case "file":
            return _local(_decoded(rest, text), text, settings)
        case "s3":
            return _object(rest, text, settings)
    raise UriNotAllowed(f"{text!r} has a scheme that is not supported: {head!r}.", hint=_SCHEME_HINT)


def _encoded(text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError as exc:
        raise UriNotAllowed(f"{text!r} is not valid Unicode.", hint="Rename the file.") from exc


def _decoded(rest: str, text: str) -> bytes:
    """The path of a file URI. `?` and `#` are part of it, as a file has neither query nor fragment."""
    host, slash, path = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or host.lower() not in ("", "localhost") or not slash:
        raise UriNotAllowed(f"{text!r} is not a file URI of this machine.", hint="Write file:///folder/name.")
    return urllib.parse.unquote_to_bytes(_encoded("/" + path))


def _local(raw: bytes, text: str, settings: Settings) -> LocalFile:
    if b"\0" in raw:
        raise UriNotAllowed(f"{text!r} contains a NUL character.", hint="Rename the file.")
    path = _real(os.fsdecode(raw))
    roots = [_real(root) for root in settings.allowed_roots]
    if not any(path.is_relative_to(root) for root in roots):
        allowed = ", ".join(str(root) for root in settings.allowed_roots)
        raise UriNotAllowed(f"{str(path)!r} is outside the allowed folders.", hint=f"Allowed: {allowed}.")
    if path in roots:
        raise UriNotAllowed(f"{text!r} is a folder, not a file.", hint="Name a file in it.")
    return LocalFile(path)


def _real(path: str | Path) -> Path:
    # Two leading slashes survive realpath, and would make a path that is under no root.
    return Path("/" + os.path.realpath(path).lstrip("/"))


def _object(rest: str, text: str, settings: Settings) -> S3Object:
    bucket, _, key = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket) or not key or key.endswith("/"):
        raise UriNotAllowed(f"{text!r} does not name an object.", hint="Write s3://bucket/key.")
    if "\0" in key or len(_encoded(key)) > _MAX_KEY_BYTES or {".", ".."} & set(key.split("/")):
        raise UriNotAllowed(
            f"The key of {text!r} cannot be used.",
            hint="Up to 1024 bytes, without NUL and the segments . and .. in it.",
        )
    if not any(fnmatchcase(bucket, pattern) for pattern in settings.allowed_buckets):
        allowed = ", ".join(settings.allowed_buckets)
        raise UriNotAllowed(f"The bucket {bucket!r} is not allowed.", hint=f"Allowed: {allowed}.")
    return S3Object(bucket, key)


def _plain_name(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise UriNotAllowed(f"{name!r} is not the name of a file.", hint="Leave out folders.")
    return name
