"""What boto3 raises, in the words of the error tree: the one table of an object store's failures."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as BrokenConnection,
)
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError

from sr_tasks.errors import (
    InputChanged,
    InputNotFound,
    InputUnreadable,
    SrError,
    StorageUnavailable,
    TargetExists,
    TargetUnwritable,
)
from sr_tasks.storage.uris import S3Object

_BROKEN_LINES = (BrokenConnection, HTTPClientError, IncompleteReadError, FlexibleChecksumError, RetriesExceededError)
_BUSY_CODES = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "RequestTimeTooSkewed"})
_RETRY_HINT = "Run the job again when the store answers."


@contextmanager
def translated(location: S3Object, *, is_source: bool) -> Iterator[None]:
    """Turn what boto3 raises into the error tree's words, about a source or a target."""
    try:
        yield
    except ClientError as exc:
        raise _of_answer(exc, location, is_source) from exc
    except S3DownloadFailedError as exc:
        raise changed(location) from exc
    except _BROKEN_LINES as exc:
        raise StorageUnavailable(
            f"The object store did not answer for {location.uri!r} ({type(exc).__name__}).", hint=_RETRY_HINT
        ) from exc
    except BotoCoreError as exc:
        raise _denied(location, is_source, type(exc).__name__) from exc


def _of_answer(exc: ClientError, location: S3Object, is_source: bool) -> SrError:
    code, status = str(exc.response.get("Error", {}).get("Code", "")), status_of(exc)
    if code in _BUSY_CODES or status in (409, 429) or status >= 500:
        return StorageUnavailable(
            f"The object store could not serve {location.uri!r} ({code or status}).", hint=_RETRY_HINT
        )
    if status in (412, 416):
        return changed(location) if is_source else exists(location)
    if status == 404 and is_source:
        return InputNotFound(f"There is no object {location.uri!r}.", hint="Check the bucket and the key.")
    if status == 404:
        return TargetUnwritable(f"There is no bucket {location.bucket!r}.", hint="Create it or name another.")
    return _denied(location, is_source, code or str(status))


def _denied(location: S3Object, is_source: bool, why: str) -> SrError:
    hint = "Check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a profile) and the bucket's policy."
    if is_source:
        return InputUnreadable(f"{location.uri!r} cannot be read ({why}).", hint=hint)
    return TargetUnwritable(f"{location.uri!r} cannot be written ({why}).", hint=hint)


def changed(location: S3Object) -> InputChanged:
    """For a source that is not the object that was planned."""
    return InputChanged(f"{location.uri!r} was changed after the job was planned.", hint="Submit the job again.")


def exists(location: S3Object) -> TargetExists:
    """For a target that may not be replaced."""
    return TargetExists(f"{location.uri!r} exists already.", hint="Name another output or allow overwriting.")


def status_of(exc: ClientError) -> int:
    """HTTP status of the answer that boto3 raised; 0 if it had none."""
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
