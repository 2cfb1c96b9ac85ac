"""S3 and servers that speak like it: the only module that calls boto3. Never logs credentials or signed links."""

import base64
import hashlib
import mimetypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import ClientError
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import IntegrityBroken, UsageError
from sr_tasks.storage import failures
from sr_tasks.storage.atomic import replacing
from sr_tasks.storage.hashing import BLOCK_BYTES, sha256_file, sha256_of_parts
from sr_tasks.storage.s3_failures import changed, exists, status_of, translated
from sr_tasks.storage.uris import S3Object

_MIN_PART_BYTES = 8 << 20
_MAX_PARTS = 9_000


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """What the server says of an object. `checksum` is its SHA-256 in base64 (whole or of parts), or empty."""

    size_bytes: int
    etag: str
    checksum: str
    modified_s: float = 0.0
    """When it was written, in seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class ListedObject:
    """One row of a listing."""

    key: str
    size_bytes: int
    etag: str
    modified_s: float


class ObjectStore:
    """One connection to the store of `settings`. Raises UsageError if the endpoint is no address."""

    def __init__(self, settings: Settings) -> None:
        endpoint = settings.s3_endpoint_url
        config = Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": "path" if endpoint else "auto"},
        )
        try:
            self.client: Any = boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=config)
        except ValueError as exc:
            raise UsageError(
                f"SR_S3_ENDPOINT_URL={endpoint!r} is not an address.", hint="An example: http://127.0.0.1:9000."
            ) from exc

    def head(self, location: S3Object) -> ObjectInfo:
        """Raises InputNotFound, InputUnreadable or StorageUnavailable."""
        with translated(location, is_source=True):
            return self._head(location)

    def listed(self, bucket: str, prefix: str) -> Iterator[ListedObject]:
        """Every object whose key begins with `prefix`, a page at a time. Raises what `head` raises."""
        with translated(S3Object(bucket, prefix), is_source=True):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for row in page.get("Contents", ()):
                    yield ListedObject(
                        key=row["Key"],
                        size_bytes=row["Size"],
                        etag=row["ETag"],
                        modified_s=row["LastModified"].timestamp(),
                    )

    def read(self, location: S3Object, max_bytes: int) -> bytes:
        """The first `max_bytes` of a small object. Raises what `head` raises."""
        with translated(location, is_source=True):
            body = self.client.get_object(Bucket=location.bucket, Key=location.key)["Body"]
            return bytes(body.read(max_bytes))

    def get(self, location: S3Object, target: Path, expected: ObjectInfo) -> None:
        """Download to `target`, which appears whole or not at all.

        Raises InputChanged if the object is not the `expected` one while it is read or right after, DiskFull, and what
        `head` raises.
        """
        with failures.writing(target), translated(location, is_source=True), replacing(target) as partial:
            self.transfer("download", location, partial, expected.size_bytes, {})
            now = self._head(location)
            if now.etag != expected.etag or partial.stat().st_size != expected.size_bytes:
                raise changed(location)

    def check_writable(self, location: S3Object, *, overwrite: bool) -> None:
        """Prove that the object could be written now: an upload is begun and called off, which leaves nothing.

        Raises TargetExists, TargetUnwritable or StorageUnavailable.
        """
        with translated(location, is_source=False):
            if not overwrite and self._find(location) is not None:
                raise exists(location)
            where = {"Bucket": location.bucket, "Key": location.key}
            upload = self.client.create_multipart_upload(**where)
            self.client.abort_multipart_upload(**where, UploadId=upload["UploadId"])

    def put(self, local: Path, location: S3Object, *, overwrite: bool) -> None:
        """Upload a file and compare the server's SHA-256 with the file's own.

        Without `overwrite` an object is never replaced; finding one with the file's content is a success. Raises
        TargetExists, TargetUnwritable, StorageUnavailable, and IntegrityBroken if what arrived is something else.
        """
        with translated(location, is_source=False):
            if not overwrite and self._is_delivered(local, location):
                return
            try:
                self._upload(local, location, overwrite=overwrite)
            except ClientError as exc:
                # 412 may also be the answer to a repeated request whose first try did succeed.
                if status_of(exc) != 412 or not self._is_delivered(local, location):
                    raise
            found = self._find(location)
            if found is None or not self._is_same(local, location, found):
                raise IntegrityBroken(
                    f"{location.uri!r} does not hold what was uploaded.", hint="See who else writes to it; run again."
                )

    def signed_link(self, location: S3Object, seconds: int) -> str:
        """An address under which anybody may read the object for so long. Asks nobody. Raises InputUnreadable."""
        with translated(location, is_source=True):
            where = {"Bucket": location.bucket, "Key": location.key}
            return str(self.client.generate_presigned_url("get_object", Params=where, ExpiresIn=seconds))

    def delete(self, location: S3Object) -> None:
        """Remove an object; one that is not there is none to remove. Raises TargetUnwritable or StorageUnavailable."""
        with translated(location, is_source=False):
            self.client.delete_object(Bucket=location.bucket, Key=location.key)

    def _is_delivered(self, local: Path, location: S3Object) -> bool:
        found = self._find(location)
        if found is not None and not self._is_same(local, location, found):
            raise exists(location)
        return found is not None

    def _upload(self, local: Path, location: S3Object, *, overwrite: bool) -> None:
        extra = {"ChecksumAlgorithm": "SHA256"}
        if kind := mimetypes.guess_type(location.name)[0]:
            extra["ContentType"] = kind
        size = local.stat().st_size
        if overwrite:
            self.transfer("upload", location, local, size, extra)
            return
        try:
            with self._only_if_absent():
                self.transfer("upload", location, local, size, extra)
        except ClientError as exc:
            if status_of(exc) != 501:
                raise
            logger.warning("{} has no conditional writes; only a look before protects the target", location.bucket)
            self.transfer("upload", location, local, size, extra)

    def transfer(self, verb: str, location: S3Object, path: Path, size: int, extra: dict[str, str]) -> None:
        """Upload or download a file, in parts if it is large."""
        part = part_bytes(size)
        config = TransferConfig(
            multipart_threshold=part, multipart_chunksize=part, max_concurrency=4, preferred_transfer_client="classic"
        )
        with create_transfer_manager(self.client, config) as manager:
            if verb == "upload":
                future = manager.upload(str(path), location.bucket, location.key, extra_args=extra)
            else:
                future = manager.download(location.bucket, location.key, str(path), extra_args=extra)
            future.result()

    @contextmanager
    def _only_if_absent(self) -> Iterator[None]:
        """Make uploads conditional, by a request parameter that boto3's transfers do not let through."""

        def add(params: Mapping[str, Any], **_event: object) -> dict[str, Any]:
            return {**params, "IfNoneMatch": "*"}

        events = [f"provide-client-params.s3.{name}" for name in ("PutObject", "CompleteMultipartUpload")]
        for event in events:
            self.client.meta.events.register(event, add)
        try:
            yield
        finally:
            for event in events:
                self.client.meta.events.unregister(event, add)

    def _head(self, location: S3Object) -> ObjectInfo:
        answer = self.client.head_object(Bucket=location.bucket, Key=location.key, ChecksumMode="ENABLED")
        modified = answer.get("LastModified")
        return ObjectInfo(
            size_bytes=answer["ContentLength"],
            etag=answer["ETag"],
            checksum=answer.get("ChecksumSHA256", ""),
            modified_s=modified.timestamp() if modified else 0.0,
        )

    def _find(self, location: S3Object) -> ObjectInfo | None:
        try:
            return self._head(location)
        except ClientError as exc:
            if status_of(exc) == 404:
                return None
            raise

    def _is_same(self, local: Path, location: S3Object, found: ObjectInfo) -> bool:
        size = local.stat().st_size
        if found.size_bytes != size:
            return False
        if not found.checksum:
            return self._sha256(location) == sha256_file(local)
        part = part_bytes(size)
        digest = bytes.fromhex(sha256_file(local)) if size < part else sha256_of_parts(local, part)
        return found.checksum.partition("-")[0] == base64.b64encode(digest).decode()

    def _sha256(self, location: S3Object) -> str:
        digest = hashlib.sha256()
        body = self.client.get_object(Bucket=location.bucket, Key=location.key)["Body"]
        for block in body.iter_chunks(BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()


def part_bytes(size: int) -> int:
    """Size of a part: the smallest that is allowed and with which the file has no more parts than are."""
    return max(_MIN_PART_BYTES, -(-size // _MAX_PARTS))
