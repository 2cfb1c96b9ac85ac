"""Of which tenant a user is, what that lets them see, and where their files may lie. Settings decide, not requests.

Operators are of no tenant: they see and change all.
"""

from typing import Any, Final

from fastapi import Depends, Request

from sr_console import internals
from sr_console.internals import GetUserDep, RunRow
from sr_console.problems import Refused, not_found
from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound, UriNotAllowed, UsageError
from sr_tasks.jobs import received
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import JOB_DAG
from sr_tasks.storage import uris
from sr_tasks.storage.uris import LocalFile, Location, S3Object

POOL: Final = "gpu"
"""Who may change this pool of Airflow is an operator here."""
NOBODY: Final = ""
"""The tenant of who has none. No job is of it."""
_MARK = "{tenant}"


def is_operator(user: Any) -> bool:
    return internals.may_change_pool(POOL, user)


def bindings(settings: Settings) -> dict[str, str]:
    """Tenant by user. Raises UsageError for a setting that does not say so."""
    found: dict[str, str] = {}
    for part in settings.tenant_users:
        user, _, tenant = part.rpartition("=")
        if not user or not tenant or user in found:
            raise UsageError(
                f"SR_TENANT_USERS has {part!r}, which names no tenant.", hint="Write USER=TENANT, once each."
            )
        found[user] = tenant
    return found


def only_shown(user: Any, settings: Settings) -> str | None:
    """The one tenant whose jobs somebody sees; None for all jobs. Raises UsageError."""
    if not settings.tenant_prefix or is_operator(user):
        return None
    return bindings(settings).get(user.get_name(), NOBODY)


def claimed(spec: JobSpec, user: Any, settings: Settings) -> JobSpec:
    """The request with the tenant that its user is bound to, its addresses checked.

    Raises Refused (403) for the tenant of somebody else, UriNotAllowed for files that are not the tenant's and
    UsageError.
    """
    bound = bindings(settings)
    if is_operator(user) or not (bound or settings.tenant_prefix):
        return spec
    own = bound.get(user.get_name())
    if own is None and settings.tenant_prefix:
        raise _refused(f"The user {user.get_name()} is of no tenant.")
    if spec.tenant not in (own, None) and (own is not None or spec.tenant in bound.values()):
        raise _refused(f"The user {user.get_name()} is not of the tenant {spec.tenant}.")
    if own is None:
        return spec
    if settings.tenant_prefix:
        for address in filter(None, (spec.source, spec.output)):
            _require_own_place(uris.parse(address, settings), own, user.get_name(), settings)
    return spec.model_copy(update={"tenant": own})


def _require_visible(request: Request, user: GetUserDep) -> None:
    """Raises Refused (404) for a job of another tenant: to others it is not there."""
    job_id, settings = request.path_params.get("job_id"), Settings.from_env()
    only = None if job_id is None else only_shown(user, settings)
    if only is None:
        return
    with internals.create_session() as session:
        run = internals.find_run(JOB_DAG, str(job_id), session)
    if run is not None and not is_of(run, only):
        raise not_found(f"There is no job {job_id!r}.", "GET /jobs lists the jobs.")


visible_jobs_only: Final = Depends(_require_visible)
"""For routers: a path with a `job_id` is answered to who may see that job."""


def is_of(run: RunRow, tenant: str) -> bool:
    """Whether a job is of a tenant."""
    found = run.conf.get("tenant") if isinstance(run.conf, dict) else None
    return tenant != NOBODY and found == tenant


def _require_own_place(place: Location, tenant: str, user: str, settings: Settings) -> None:
    if _MARK not in settings.tenant_prefix:
        raise UsageError(f"SR_TENANT_PREFIX={settings.tenant_prefix!r} has no {_MARK}.", hint=f"Write /srv/{_MARK}.")
    if _is_below(place, settings.tenant_prefix.replace(_MARK, tenant).rstrip("/"), settings):
        return
    if not _is_own_upload(place, user, settings):
        raise UriNotAllowed(
            f"{str(place)!r} is not a place of the tenant {tenant}.",
            hint=f"Its files lie below {settings.tenant_prefix.replace(_MARK, tenant)}, or are uploads of your own.",
        )


def _is_below(place: Location, prefix: str, settings: Settings) -> bool:
    top = uris.parse(f"{prefix}/file", settings)
    if isinstance(top, S3Object):
        is_there = isinstance(place, S3Object) and place.bucket == top.bucket
        return is_there and str(place).startswith(str(top).removesuffix("file"))
    return isinstance(place, LocalFile) and place.path.is_relative_to(top.path.parent)


def _is_own_upload(place: Location, user: str, settings: Settings) -> bool:
    uploads = (settings.workdir / received.FOLDER).resolve()
    if not isinstance(place, LocalFile) or not place.path.is_relative_to(uploads) or place.path == uploads:
        return False
    try:
        return received.find(place.path.relative_to(uploads).parts[0], settings).user == user
    except InputNotFound:
        return False


def _refused(detail: str) -> Refused:
    return Refused(403, "NOT_YOUR_TENANT", detail, "SR_TENANT_USERS says who is of which tenant.")
