"""What Airflow says of a job: whether there is such a run, where it stands, what its last step returned. Reads only."""

from sr_console.internals import Session, has_run, returned_by, run_row, task_states
from sr_tasks.jobs.status import JOB_DAG, Task
from sr_tasks.jobs.view import RunFacts


def is_job(job_id: str, session: Session) -> bool:
    return has_run(JOB_DAG, job_id, session)


def run_facts(job_id: str, session: Session) -> RunFacts:
    """What Airflow says of the run of a job that it knows."""
    state, accepted, started, ended = run_row(JOB_DAG, job_id, session)
    tasks = task_states(JOB_DAG, job_id, session)
    return RunFacts(state=state, tasks=tasks, accepted_at=accepted, started_at=started, ended_at=ended)


def delivered_report(job_id: str, session: Session) -> str:
    """Where the report was delivered to, as the step that did so returned it; empty if it did not come so far."""
    returned = returned_by(Task.REPORT, JOB_DAG, job_id, session)
    return str(returned.get("report", "")) if isinstance(returned, dict) else ""
