"""How jobs end that passed their rehearsal: what is a bug of ours there, and who watches for it."""

from collections.abc import Callable
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, IntegrityBroken, SrError, UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec

BUGS = frozenset({ChunkFailed.code, IntegrityBroken.code, SrError.code, UsageError.code})
"""What no job may end in after its rehearsal, unless its test injects the fault."""

Run = Callable[..., dict[str, Any]]


def watched(run: Run, found: list[str]) -> Run:
    """The same jobs; those that passed their rehearsal and ended in one of BUGS are noted in `found`."""

    def watching(spec: JobSpec, job_id: str, settings: Settings, *more: Any) -> dict[str, Any]:
        try:
            return run(spec, job_id, settings, *more)
        except Exception as exc:
            code = exc.code if isinstance(exc, SrError) else SrError.code
            if code in BUGS and JobFolder(settings.workdir, job_id).has("source"):
                found.append(f"{code}: {exc}")
            raise

    return watching
