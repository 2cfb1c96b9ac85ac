"""Why a job failed, as it is kept in its folder: the error, where it happened, and a fingerprint. Pure."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict

from sr_tasks.errors import SrError, known_errors
from sr_tasks.telemetry.redaction import redacted

_VARIABLE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`"), "''"),
    (re.compile(r"\b[a-z][a-z0-9+.-]*://\S+|(?<!\w)/\S+"), "/"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+(?:[.,:]\d+)*"), "0"),
    (re.compile(r"\s+"), " "),
)
"""What differs between two messages of one cause: names, addresses, paths, hashes and numbers."""
_CLOCKS_MAY_DIFFER = timedelta(minutes=1)


class Failure(BaseModel):
    """One failure. `step` and `chunk` say where; records of a run without Airflow may lack both and the time.

    `of` masks the secrets in its words.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    step: str = ""
    chunk: int | None = None
    fingerprint: str = ""
    """12 hexadecimal digits that stay the same for one cause, whatever the file or the number in its message."""
    at: datetime | None = None

    @classmethod
    def of(cls, error: SrError, *, step: str = "", chunk: int | None = None) -> Self:
        return cls(
            code=error.code,
            message=redacted(error.message),
            hint=redacted(error.hint),
            retryable=error.retryable,
            step=step,
            chunk=chunk,
            fingerprint=fingerprint(error.code, step, error.message),
            at=datetime.now(UTC),
        )

    def is_of_run(self, started_at: datetime | None) -> bool:
        """Whether it happened in the run that started then, and not in an earlier one. An unknown time counts as so."""
        return self.at is None or started_at is None or self.at >= started_at - _CLOCKS_MAY_DIFFER

    def error(self) -> SrError:
        """The error it was made of, as far as it was kept."""
        return known_errors().get(self.code, SrError)(self.message, hint=self.hint)


def fingerprint(code: str, step: str, message: str) -> str:
    """A stable name for a cause: a hash of the code, the step and the message without what varies in it."""
    normal = message.lower()
    for pattern, stand_in in _VARIABLE:
        normal = pattern.sub(stand_in, normal)
    return hashlib.sha256(f"{code}|{step}|{normal.strip()}".encode()).hexdigest()[:12]
