"""What Airflow says of a job: whether there is such a run, and what its last step returned. Reads only."""

from sr_console.internals import Session, has_run, returned_by
from sr_tasks.jobs.status import JOB_DAG, Task


def is_job(job_id: str, session: Session) -> bool:
    return has_run(JOB_DAG, job_id, session)


def delivered_report(job_id: str, session: Session) -> str:
    """Where the report was delivered to, as the step that did so returned it; empty if it did not come so far."""
    returned = returned_by(Task.REPORT, JOB_DAG, job_id, session)
    return str(returned.get("report", "")) if isinstance(returned, dict) else ""
