"""Uploads that a killed delivery never finished: the store keeps their parts until it is told not to."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sr_tasks.storage.s3 import ObjectStore
from sr_tasks.storage.s3_failures import translated
from sr_tasks.storage.uris import S3Object


@dataclass(frozen=True, kw_only=True)
class Upload:
    """One unfinished multipart upload."""

    target: S3Object
    upload_id: str
    age_s: float


class UnfinishedUploads(ObjectStore):
    """Finds and ends them. Both raise StorageUnavailable and TargetUnwritable."""

    def of(self, target: S3Object) -> list[Upload]:
        """Those to this very object, oldest first."""
        found, now = [], datetime.now(UTC)
        with translated(target, is_source=False):
            pages = self.client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=target.bucket, Prefix=target.key):
                for upload in page.get("Uploads", ()):
                    if upload["Key"] == target.key:
                        age_s = (now - upload["Initiated"]).total_seconds()
                        found.append(Upload(target=target, upload_id=upload["UploadId"], age_s=age_s))
        return sorted(found, key=lambda upload: -upload.age_s)

    def end(self, upload: Upload) -> None:
        """Have the store drop the parts. May be repeated."""
        with translated(upload.target, is_source=False):
            try:
                self.client.abort_multipart_upload(
                    Bucket=upload.target.bucket, Key=upload.target.key, UploadId=upload.upload_id
                )
            except self.client.exceptions.NoSuchUpload:
                return
