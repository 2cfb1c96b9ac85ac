"""The routes of the deployment: its models, whether it works, and how many jobs stand where. Reads only."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from sr_console import internals, listing, tenants
from sr_console.internals import GetUserDep, SessionDep, may_use_runs
from sr_console.problems import Refused, documented
from sr_tasks.config import Settings
from sr_tasks.jobs.api import Health, ModelDetail, ModelSummary, Stats
from sr_tasks.jobs.status import JOB_DAG, Status
from sr_tasks.registry.registry import Registry

router = APIRouter(tags=["Deployment"])

_NEEDED = ("metadatabase", "scheduler", "dag_processor")


@router.get("/models", dependencies=[may_use_runs(JOB_DAG, "GET")], responses=documented())
def list_models() -> list[ModelSummary]:
    """The models of the registry, as jobs get them: production, and a candidate at its share of jobs."""
    registry = Registry.of(Settings.from_env())
    return [_detail(registry, name).summary() for name in registry.names()]


@router.get("/models/{name}", dependencies=[may_use_runs(JOB_DAG, "GET")], responses=documented(404))
def show_model(name: str) -> ModelDetail:
    """A model by `name` (its production) or `name@version`, with its card: what it is for, its figures, its licence."""
    return _detail(Registry.of(Settings.from_env()), name)


@router.get("/health", responses=documented(500, only=True))
def health() -> Health:
    """Whether this server answers. Asks nobody, and needs no login."""
    return Health(status="ok")


@router.get("/ready", responses=documented(500, 503, only=True))
def ready() -> Health:
    """Whether a job that is submitted now would begin: Airflow's database, scheduler and Dag processor are well, and
    the Dag of the jobs is known. Needs no login."""
    ill = [name for name, state in internals.airflow_health().items() if name in _NEEDED and state != "healthy"]
    if not ill and not internals.knows_dag(JOB_DAG):
        ill = [f"the Dag {JOB_DAG}"]
    if ill:
        raise Refused(503, "NOT_READY", f"Not well yet: {', '.join(ill)}.", "Ask again, or see Airflow's own health.")
    return Health(status="ok")


@router.get("/stats", dependencies=[may_use_runs(JOB_DAG, "GET")], responses=documented(422))
def stats(session: SessionDep, user: GetUserDep, hours: Annotated[int, Query(ge=1, le=24 * 366)] = 24) -> Stats:
    """How many jobs stand where: those open now, and those accepted in the last `hours` by how they stand."""
    since = datetime.now(UTC) - timedelta(hours=hours)
    own = tenants.only_shown(user, Settings.from_env())
    recent = {
        status: listing.count(listing.Wanted(status=status, accepted_from=since, of_tenant=own), session)
        for status in Status
    }
    waiting, working = (
        listing.count(listing.Wanted(status=status, of_tenant=own), session)
        for status in (Status.PENDING, Status.PROCESSING)
    )
    return Stats(waiting=waiting, working=working, hours=hours, accepted=recent)


def _detail(registry: Registry, reference: str) -> ModelDetail:
    """Raises ModelUnknown and ModelRejected."""
    card = registry.get(reference).card
    channels = registry.channels(card.name)
    return ModelDetail(
        card=card,
        scales=card.scales,
        versions=registry.versions(card.name),
        production=channels.production,
        candidate=channels.candidate,
        candidate_share=channels.share,
        retired=channels.retired,
    )
