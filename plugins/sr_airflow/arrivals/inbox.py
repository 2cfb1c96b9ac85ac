"""Jobs asked for from within a task, through the supervisor: no login and no database access."""

from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType

from sr_airflow.internals import count_runs, trigger_run
from sr_tasks.arrivals.jobs import Job
from sr_tasks.errors import AirflowUnavailable, UsageError
from sr_tasks.jobs.status import JOB_DAG


class AirflowInbox:
    """The inbox of `sr_tasks.arrivals.taking`. `submit` and `retry` raise UsageError for what
    Airflow refuses as no request, and AirflowUnavailable."""

    def waiting(self) -> int:
        return count_runs(JOB_DAG, states=["queued", "running"])

    def submit(self, job: Job) -> bool:
        return self._trigger(job.job_id, conf=job.conf)

    def failed(self, job_ids: list[str]) -> int:
        return count_runs(JOB_DAG, run_ids=job_ids, states=["failed"])

    def completed(self, job_ids: list[str]) -> int:
        return count_runs(JOB_DAG, run_ids=job_ids, states=["success"])

    def retry(self, job_id: str) -> None:
        self._trigger(job_id, reset_dag_run=True)

    def _trigger(self, job_id: str, **content: Any) -> bool:
        answer = trigger_run(JOB_DAG, job_id, **content)
        if answer is None:
            return True
        if answer.error is ErrorType.DAGRUN_ALREADY_EXISTS:
            return False
        said = f"Airflow did not accept the job {job_id}: {answer.error.value} {answer.detail}."
        if (answer.detail or {}).get("status_code") in (400, 422):
            raise UsageError(said)
        raise AirflowUnavailable(said)


def accepted(job_ids: list[str]) -> int:
    """How many of these jobs Airflow has, in whatever state. For triggers; blocks. Raises AirflowUnavailable."""
    return _count(job_ids, None)


def live(job_ids: list[str]) -> int:
    """How many of these jobs are queued or run. For tasks and triggers; blocks. Raises AirflowUnavailable."""
    return _count(job_ids, ["queued", "running"])


def _count(job_ids: list[str], states: list[str] | None) -> int:
    try:
        return count_runs(JOB_DAG, run_ids=job_ids, states=states)
    except AirflowRuntimeError as exc:
        raise AirflowUnavailable(f"Airflow did not say which jobs it has: {exc.error.error.value}.") from exc
