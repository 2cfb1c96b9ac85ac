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
    """A failure that no other code names, a fault of the program as a rule. Airflow makes no retry.

    `message` is one sentence with the offending value; `hint` says what to do next.
    """

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
    """The request is malformed or contradicts itself. A retry fails in the same way: correct the request."""

    code = "USAGE"
    exit_code = 2


class InputRefused(SrError):
    """The source or the target cannot be used, and nothing was started. A retry helps only if one of them changed."""

    code = "INPUT_REFUSED"
    exit_code = 3


class InputNotFound(InputRefused):
    """Nothing lies where the source is said to be. A retry helps only once a file lies there."""

    code = "INPUT_NOT_FOUND"


class InputUnreadable(InputRefused):
    """The source exists, and this process may not read it. A retry helps only once somebody grants the permission."""

    code = "INPUT_UNREADABLE"


class InputInvalid(InputRefused):
    """The source is no video, is damaged beyond use, or is a script in disguise. A retry never helps."""

    code = "INPUT_INVALID"


class InputUnsupported(InputRefused):
    """The source is a real video of a kind that would not come out right. A retry never helps."""

    code = "INPUT_UNSUPPORTED"


class RehearsalFailed(InputRefused):
    """A few frames of the source did not come out as planned. A retry with the same request never helps."""

    code = "REHEARSAL_FAILED"


class InputTooLarge(InputRefused):
    """The source, or the output asked for, exceeds a configured limit. A retry helps only with a higher limit."""

    code = "INPUT_TOO_LARGE"


class UriNotAllowed(InputRefused):
    """A location lies outside the folders or buckets that this deployment allows. A retry never helps."""

    code = "URI_NOT_ALLOWED"


class ContainerMismatch(InputRefused):
    """The output's container cannot hold a stream that it has to hold. A retry helps only with another container."""

    code = "CONTAINER_MISMATCH"


class TargetExists(InputRefused):
    """A file lies at the target already. A retry helps only with another target, or when overwriting is asked for."""

    code = "TARGET_EXISTS"


class TargetUnwritable(InputRefused):
    """This process may not write at the target. A retry helps only once somebody grants the permission."""

    code = "TARGET_UNWRITABLE"


class DiskTooSmall(InputRefused):
    """The disk is too small for what the job will write. A retry helps only once there is more space."""

    code = "DISK_TOO_SMALL"


class ModelUnknown(InputRefused):
    """The registry has no model or no version of that name. A retry helps only after it was added."""

    code = "MODEL_UNKNOWN"


class ScaleUnsupported(InputRefused):
    """The model cannot enlarge by the scale that was asked for. A retry helps only with another scale or model."""

    code = "SCALE_UNSUPPORTED"


class ModelInvalid(InputRefused):
    """A file that was brought as a model is none, holds code, or is of no known kind. A retry never helps."""

    code = "MODEL_INVALID"


class VersionExists(InputRefused):
    """The registry has that version with other content. A retry helps only under a new version."""

    code = "VERSION_EXISTS"


class LicenceNotAllowed(InputRefused):
    """This deployment does not allow the licence of the model. A retry helps only with another model."""

    code = "LICENCE_NOT_ALLOWED"


class RoutesInvalid(InputRefused):
    """The file of routes is missing or not valid. A retry helps only after somebody has corrected it."""

    code = "ROUTES_INVALID"


class JobRunning(InputRefused):
    """Another process runs the very same job. A retry helps once that process has ended."""

    code = "JOB_RUNNING"


class InputDamaged(SrError):
    """More frames of the source are damaged than the job allows. A retry never helps."""

    code = "INPUT_DAMAGED"
    exit_code = 3


class InputChanged(SrError):
    """The source is no longer the file that was planned. A retry of this job never helps: start it anew."""

    code = "INPUT_CHANGED"


class QualityRefused(SrError):
    """The gate refused the output, and nothing was delivered. A retry gives the same output."""

    code = "QUALITY_REFUSED"
    exit_code = 4


class ReviewRejected(SrError):
    """A person rejected a doubtful output, or nobody answered in time. A retry never helps."""

    code = "REVIEW_REJECTED"
    exit_code = 4


class ModelRejected(SrError):
    """A model does not have its form, or does not compute what its original computes. A retry never helps."""

    code = "MODEL_REJECTED"


class IntegrityBroken(SrError):
    """Frames, time stamps or records of our own work do not add up. A retry never helps: the program has a fault."""

    code = "INTEGRITY_BROKEN"


class OutOfMemory(SrError):
    """A task reached the limit of memory of its own process. A retry would reach it again, whoever else runs."""

    code = "OUT_OF_MEMORY"


class JobCancelled(SrError):
    """Somebody stopped the job. No retry is made."""

    code = "JOB_CANCELLED"


class TransientError(SrError):
    """Something outside the job failed for now. A retry helps as a rule, and Airflow makes it by itself."""

    code = "TRANSIENT"
    retryable = True


class ChunkMissing(TransientError):
    """A chunk that was finished is no longer there. A retry helps: it makes the chunk again."""

    code = "CHUNK_MISSING"


class ChunkFailed(TransientError):
    """Decoding, inference or encoding of a chunk broke off. A retry helps if the cause lay outside the source."""

    code = "CHUNK_FAILED"


class StepTimedOut(TransientError):
    """A step reached its time limit. A retry helps: it goes on from what is finished."""

    code = "STEP_TIMED_OUT"


class DeviceBusy(TransientError):
    """No GPU became free in time. A retry helps once another job has ended."""

    code = "DEVICE_BUSY"


class DiskFull(TransientError):
    """The disk was full in the middle of writing. A retry helps once there is space again."""

    code = "DISK_FULL"


class StorageUnavailable(TransientError):
    """The object store did not answer. A retry helps once it answers again."""

    code = "STORAGE_UNAVAILABLE"


class AirflowUnavailable(TransientError):
    """Airflow did not start or did not answer. A retry helps once it does."""

    code = "AIRFLOW_UNAVAILABLE"
