"""The error tree: every failure a user can meet, each with a code, a hint and whether a retry can help.

SrError
├── UsageError              USAGE                 the request itself is malformed
├── InputRefused            INPUT_REFUSED         the source or the target cannot be used; nothing was started
│   ├── InputNotFound       INPUT_NOT_FOUND
│   ├── InputUnreadable     INPUT_UNREADABLE      no permission
│   ├── InputInvalid        INPUT_INVALID         not a video, damaged beyond use, or a disguised script
│   ├── InputUnsupported    INPUT_UNSUPPORTED     a real video of a kind that would not come out right
│   ├── RehearsalFailed     REHEARSAL_FAILED      a few frames of the source did not come out as planned
│   ├── InputTooLarge       INPUT_TOO_LARGE       past a configured limit
│   ├── UriNotAllowed       URI_NOT_ALLOWED       outside the allow-lists
│   ├── ContainerMismatch   CONTAINER_MISMATCH    a stream does not fit the output's container
│   ├── TargetExists        TARGET_EXISTS
│   ├── TargetUnwritable    TARGET_UNWRITABLE
│   ├── DiskTooSmall        DISK_TOO_SMALL
│   ├── ModelUnknown        MODEL_UNKNOWN
│   ├── ScaleUnsupported    SCALE_UNSUPPORTED
│   ├── ModelInvalid        MODEL_INVALID         a file brought as a model is none, holds code, or is of no known kind
│   ├── VersionExists       VERSION_EXISTS        a version of a model never changes once it was added
│   ├── LicenceNotAllowed   LICENCE_NOT_ALLOWED   this deployment does not allow the model's licence
│   ├── RoutesInvalid       ROUTES_INVALID        routing.yaml names what there is not
│   └── JobRunning          JOB_RUNNING           another process runs the very same job
├── InputDamaged            INPUT_DAMAGED         more damaged frames than allowed
├── InputChanged            INPUT_CHANGED         the source is not the file that was planned
├── QualityRefused          QUALITY_REFUSED       the gate said no; nothing was delivered
├── ReviewRejected          REVIEW_REJECTED       a person said no to a doubtful output, or nobody answered in time
├── ModelRejected           MODEL_REJECTED        the prepared model does not match its original
├── IntegrityBroken         INTEGRITY_BROKEN      frames or time stamps of our own work do not add up
├── OutOfMemory             OUT_OF_MEMORY         a task reached the memory it may have
├── JobCancelled            JOB_CANCELLED         somebody stopped the job
└── TransientError          TRANSIENT             may pass next time
    ├── ChunkMissing        CHUNK_MISSING         a committed chunk is no longer there
    ├── ChunkFailed         CHUNK_FAILED          decode, inference or encode broke off
    ├── StepTimedOut        STEP_TIMED_OUT        a step ran into its time limit
    ├── DeviceBusy          DEVICE_BUSY           no GPU became free in time
    ├── DiskFull            DISK_FULL             the disk filled up while writing
    ├── StorageUnavailable  STORAGE_UNAVAILABLE   the object store did not answer
    └── AirflowUnavailable  AIRFLOW_UNAVAILABLE   Airflow did not start or did not answer
"""

from typing import ClassVar, Final


class SrError(Exception):
    """A failure with a code. `message` is one sentence with the offending value; `hint` says what to do next."""

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message: Final = message
        self.hint: Final = hint

    def __reduce__(self) -> tuple[object, tuple[type["SrError"], str, str]]:
        return _rebuild, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, str | bool]:
        """The form used by `--json`, the job folder and the manifest."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "retryable": self.retryable}


def known_errors() -> dict[str, type[SrError]]:
    """Every kind of the tree by its code."""
    found, waiting = {SrError.code: SrError}, [SrError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found[kind.code] = kind
            waiting.append(kind)
    return found


def error_of(code: str, message: str, *, hint: str = "") -> SrError:
    """The error that a record of it is of. Raises KeyError for a code that is none."""
    return known_errors()[code](message, hint=hint)


def _rebuild(kind: type[SrError], message: str, hint: str) -> SrError:
    return kind(message, hint=hint)


class UsageError(SrError):
    code = "USAGE"
    exit_code = 2


class InputRefused(SrError):
    code = "INPUT_REFUSED"
    exit_code = 3


class InputNotFound(InputRefused):
    code = "INPUT_NOT_FOUND"


class InputUnreadable(InputRefused):
    code = "INPUT_UNREADABLE"


class InputInvalid(InputRefused):
    code = "INPUT_INVALID"


class InputUnsupported(InputRefused):
    code = "INPUT_UNSUPPORTED"


class RehearsalFailed(InputRefused):
    code = "REHEARSAL_FAILED"


class InputTooLarge(InputRefused):
    code = "INPUT_TOO_LARGE"


class UriNotAllowed(InputRefused):
    code = "URI_NOT_ALLOWED"


class ContainerMismatch(InputRefused):
    code = "CONTAINER_MISMATCH"


class TargetExists(InputRefused):
    code = "TARGET_EXISTS"


class TargetUnwritable(InputRefused):
    code = "TARGET_UNWRITABLE"


class DiskTooSmall(InputRefused):
    code = "DISK_TOO_SMALL"


class ModelUnknown(InputRefused):
    code = "MODEL_UNKNOWN"


class ScaleUnsupported(InputRefused):
    code = "SCALE_UNSUPPORTED"


class ModelInvalid(InputRefused):
    code = "MODEL_INVALID"


class VersionExists(InputRefused):
    code = "VERSION_EXISTS"


class LicenceNotAllowed(InputRefused):
    code = "LICENCE_NOT_ALLOWED"


class RoutesInvalid(InputRefused):
    code = "ROUTES_INVALID"


class JobRunning(InputRefused):
    code = "JOB_RUNNING"


class InputDamaged(SrError):
    code = "INPUT_DAMAGED"
    exit_code = 3


class InputChanged(SrError):
    code = "INPUT_CHANGED"


class QualityRefused(SrError):
    code = "QUALITY_REFUSED"
    exit_code = 4


class ReviewRejected(SrError):
    code = "REVIEW_REJECTED"
    exit_code = 4


class ModelRejected(SrError):
    code = "MODEL_REJECTED"


class IntegrityBroken(SrError):
    code = "INTEGRITY_BROKEN"


class OutOfMemory(SrError):
    """Not tried again: the limit is the process's own, so no neighbour used it up, and it would be reached again."""

    code = "OUT_OF_MEMORY"


class JobCancelled(SrError):
    code = "JOB_CANCELLED"


class TransientError(SrError):
    code = "TRANSIENT"
    retryable = True


class ChunkMissing(TransientError):
    code = "CHUNK_MISSING"


class ChunkFailed(TransientError):
    code = "CHUNK_FAILED"


class StepTimedOut(TransientError):
    code = "STEP_TIMED_OUT"


class DeviceBusy(TransientError):
    code = "DEVICE_BUSY"


class DiskFull(TransientError):
    code = "DISK_FULL"


class StorageUnavailable(TransientError):
    code = "STORAGE_UNAVAILABLE"


class AirflowUnavailable(TransientError):
    code = "AIRFLOW_UNAVAILABLE"
