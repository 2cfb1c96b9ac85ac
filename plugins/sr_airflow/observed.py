"""What the instruments and the trace of a job are told of one try of one of its tasks. Decides nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sr_airflow.arrivals.inbox import live
from sr_tasks.config import Settings
from sr_tasks.jobs.admission import Admissions
from sr_tasks.jobs.status import JOB_DAG, Status, Task
from sr_tasks.telemetry.devices import tell_disk
from sr_tasks.telemetry.statsd import Instruments
from sr_tasks.telemetry.traces import Traces


@contextmanager
def observed(task_instance: Any, dag_run: Any, settings: Settings, *, chunk: int | None) -> Iterator[None]:
    """Observe the block, which is the try. Tasks of other Dags than that of the jobs are left alone."""
    ti = task_instance
    if ti.dag_id != JOB_DAG:
        yield
        return
    job = _Job(ti.run_id, dag_run, settings)
    if ti.task_id == Task.VALIDATE and ti.try_number == 1:
        job.started()
    status = Status.FAILED
    try:
        with job.traces.span(ti.run_id, ti.task_id, chunk=chunk, attempt=ti.try_number or 1):
            yield
        status = Status.COMPLETED
    finally:
        if ti.task_id == Task.REPORT and status is Status.COMPLETED:
            job.delivered()
        if ti.task_id == Task.CLEAN:
            job.traces.job_ended(ti.run_id, accepted=job.accepted, status=status)


def retry_caused(code: str, settings: Settings) -> None:
    """A try failed with this error and there will be another."""
    with Instruments(settings) as instruments:
        instruments.retry_caused(code)


def gave_up(task_instance: Any, dag_run: Any, code: str, settings: Settings) -> None:
    """A task failed for good. With the first two the job ends: Airflow runs no teardown of a setup that failed."""
    ti = task_instance
    if ti.dag_id != JOB_DAG or ti.task_id not in (Task.ADMIT, Task.VALIDATE):
        return
    job = _Job(ti.run_id, dag_run, settings)
    with Instruments(settings) as instruments:
        instruments.job_failed(code)
    job.traces.job_ended(ti.run_id, accepted=job.accepted, status=Status.FAILED)


def queue_measured(task_instance: Any, settings: Settings) -> dict[str, int]:
    """Ask Airflow for the jobs by state and tell the instruments; nothing without StatsD.

    A job that waits to be admitted is queued, though its run is called running. The disk of scratch is told too: jobs
    tell it while they compute, and where it is full none does.
    """
    if not settings.statsd_host:
        return {}
    found = {state: int(task_instance.get_dr_count(dag_id=JOB_DAG, states=[state])) for state in ("queued", "running")}
    waiting = min(Admissions(settings.workdir).waiting(live), found["running"])
    found = {"queued": found["queued"] + waiting, "running": found["running"] - waiting}
    with Instruments(settings) as instruments:
        instruments.begin()
        without_a_slot = task_instance.get_ti_count(dag_id=JOB_DAG, states=["scheduled", "queued"])
        instruments.queue_measured(**found, tasks_waiting=int(without_a_slot))
        if settings.workdir.is_dir():
            tell_disk(instruments, settings.workdir)
    return found


class _Job:
    def __init__(self, job_id: str, dag_run: Any, settings: Settings) -> None:
        self._id, self._settings, self.traces = job_id, settings, Traces(settings)
        self.accepted: float = dag_run.run_after.timestamp()
        # A run that was cleared begins again, but Airflow keeps when it was accepted first.
        self._is_first_time = not dag_run.clear_number

    def started(self) -> None:
        if not self._is_first_time:
            return
        now = time.time()
        with Instruments(self._settings) as instruments:
            instruments.job_waited(now - self.accepted)
        self.traces.waited(self._id, accepted=self.accepted, started=now)

    def delivered(self) -> None:
        if not self._is_first_time:
            return
        with Instruments(self._settings) as instruments:
            instruments.job_took(time.time() - self.accepted)
