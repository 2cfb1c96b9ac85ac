"""What Airflow's database says of a job: whether there is such a run, and what its last step returned. Reads only."""

from airflow.models.dagrun import DagRun
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

JOB_DAG = "upscale_video"
_REPORTING = "report"


def is_job(job_id: str, session: Session) -> bool:
    wanted = select(DagRun.id).where(DagRun.dag_id == JOB_DAG, DagRun.run_id == job_id)
    return session.scalar(wanted) is not None


def delivered_report(job_id: str, session: Session) -> str:
    """Where the report was delivered to, as the step that did so returned it; empty if it did not come so far."""
    wanted = select(XComModel.value).where(
        XComModel.dag_id == JOB_DAG,
        XComModel.run_id == job_id,
        XComModel.task_id == _REPORTING,
        XComModel.key == "return_value",
    )
    returned = session.scalar(wanted)
    return str(returned.get("report", "")) if isinstance(returned, dict) else ""
