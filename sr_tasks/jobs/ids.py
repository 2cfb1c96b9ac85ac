"""Ids of jobs, which are run ids of Airflow: made for people to read, or from a key that a program repeats. Pure."""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from sr_tasks.jobs.spec import JobSpec

OWN_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a program may call its job."""
_RUN_ID = re.compile(r"[A-Za-z0-9_.~:+-]{1,250}")


def new_job_id(spec: JobSpec) -> str:
    """A run id that tells people what it is: `clip-x2-20261120T101530-ab12`."""
    stem = PurePosixPath(unquote(urlsplit(spec.source).path)).stem
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40] or "video"
    return f"{slug}-{spec.size_name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def id_of_key(key: str, user: str) -> str:
    """The one job that an idempotency key of a user stands for. Two users never meet under one key."""
    digest = hashlib.sha256("\0".join((user, key)).encode()).hexdigest()
    return f"key-{digest[:24]}"


def can_be_id(text: str) -> bool:
    """Whether a run can have this id at all."""
    return _RUN_ID.fullmatch(text) is not None
