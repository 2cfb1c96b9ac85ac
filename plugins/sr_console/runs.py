"""What Airflow and the job's folder say of one job: whether there is such a run, where it stands, what came of it.
Reads only."""

from urllib.parse import quote

from sr_console import internals
from sr_console.internals import RunRow, Session
from sr_console.problems import not_found
from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.api import PREFIX, JobDetail, Links, QualityFigures
from sr_tasks.jobs.failure import Failure
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.ids import can_be_id
from sr_tasks.jobs.spec import JobSpec, job_spec
from sr_tasks.jobs.status import JOB_DAG, Status, Task
from sr_tasks.jobs.view import JobView, RunFacts, file_name, untold
from sr_tasks.records.assessment import Assessment


def known(job_id: str, session: Session) -> RunRow:
    """The run of a job. Raises Refused (404) if Airflow has none.

    A folder may hold what no run of Airflow left: who was let in because of runs has nothing to see there.
    """
    run = internals.find_run(JOB_DAG, job_id, session) if can_be_id(job_id) else None
    if run is None:
        raise not_found(f"There is no job {job_id!r}.", "GET /jobs lists the jobs.")
    return run


def request_of(run: RunRow) -> JobSpec | None:
    """What a job was asked for with; None for a run that was started with something else."""
    try:
        return job_spec(run.conf or {})
    except (UsageError, TypeError, ValueError):
        return None


def detail(run: RunRow, settings: Settings, session: Session) -> JobDetail:
    """Raises UsageError for an id that cannot name a folder."""
    tasks = internals.tasks_of(JOB_DAG, [run.run_id], session, mapped=Task.UPSCALE)[run.run_id]
    facts = RunFacts(
        state=run.state, tasks=tasks, accepted_at=run.accepted_at, started_at=run.started_at, ended_at=run.ended_at
    )
    folder, request = JobFolder(settings.workdir, run.run_id), request_of(run)
    view = JobView.of(folder, facts)
    error = view.error
    if view.status is Status.FAILED and error is None:
        error = Failure.of(untold(tasks))
    cost = None
    if view.device_s is not None and settings.device_hour_cost:
        cost = round(view.device_s / 3600 * settings.device_hour_cost, 4)
    return JobDetail(
        **{name: getattr(view, name) for name in JobView.model_fields if name not in ("error", "source")},
        source=view.source or (file_name(request.source) if request else ""),
        error=error,
        request=request,
        created_by=run.created_by,
        quality=_quality(folder),
        cost=cost,
        links=_links(run.run_id, has_report=bool(view.report), is_done=view.status is Status.COMPLETED),
    )


def delivered(job_id: str, session: Session) -> dict[str, str]:
    """Where `output`, `manifest` and `report` were delivered to, as the step that did so returned it; empty if it did
    not come so far."""
    found = internals.returned_by(Task.REPORT, JOB_DAG, [job_id], session).get(job_id)
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _quality(folder: JobFolder) -> QualityFigures | None:
    found = folder.find("assessment", Assessment)
    if found is None:
        return None
    return QualityFigures(
        psnr_mean=found.psnr_mean,
        psnr_worst=found.psnr_worst.value,
        ssim_mean=found.ssim_mean,
        ssim_worst=found.ssim_worst.value,
    )


def _links(job_id: str, *, has_report: bool, is_done: bool) -> Links:
    own = f"{PREFIX}/jobs/{quote(job_id, safe='')}"
    return Links(
        self=own,
        airflow=f"/dags/{JOB_DAG}/runs/{quote(job_id, safe='')}",
        events=f"{own}/events",
        report=f"{own}/report" if has_report else None,
        output=f"{own}/output" if is_done else None,
        manifest=f"{own}/manifest" if is_done else None,
    )
