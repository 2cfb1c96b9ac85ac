"""Messages that ask for a job: a JobSpec as JSON, and the one job that a message is. Pure."""

import hashlib
import json

from sr_tasks.arrivals.jobs import Job
from sr_tasks.errors import InputInvalid, UsageError
from sr_tasks.jobs.spec import job_spec

MAX_BYTES = 64 << 10
_HINT = "A message is one JSON object with the fields of a job, `source` at least."


def job_of_message(body: bytes, message_id: str | None) -> Job:
    """The same message is the same job: by its id if the sender gave one, else by its content.

    Raises InputInvalid for what is no JSON object, UsageError for what is no job.
    """
    if len(body) > MAX_BYTES:
        raise InputInvalid(f"The message has {len(body)} bytes; {MAX_BYTES} are allowed.", hint=_HINT)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise InputInvalid(f"The message is no JSON: {body[:80]!r}.", hint=_HINT) from exc
    if not isinstance(values, dict):
        raise InputInvalid(f"The message is no JSON object: {body[:80]!r}.", hint=_HINT)
    spec = job_spec(values)
    if not spec.source.strip():
        raise UsageError("The message names no source.", hint=_HINT)
    named = f"id {message_id}" if message_id else f"body {body.hex()}"
    digest = hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()
    return Job(job_id=f"message-{digest[:32]}", conf=spec.model_dump(mode="json", exclude_defaults=True))
