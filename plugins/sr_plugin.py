"""What Airflow loads from this folder: a listener that counts jobs by status, when a job is due, the REST API of
jobs and the page. Imports nothing of the library until a job changes or somebody asks.

Airflow imports this module in each of its processes, tasks included, so everything else stays out of it.
"""

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin
from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session


class JobListener:
    """Called in the scheduler when a run changes its state; sends one counter and never raises.

    Looks at nothing but the run's own columns: a query from here would commit the scheduler's transaction and end it.
    """

    @hookimpl
    def on_dag_run_running(self, dag_run: Any, msg: str) -> None:
        _count(dag_run, "PROCESSING")

    @hookimpl
    def on_dag_run_success(self, dag_run: Any, msg: str) -> None:
        _count(dag_run, "COMPLETED")

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any, msg: str) -> None:
        _count(dag_run, "FAILED")


def _count(dag_run: Any, status: str) -> None:
    from sr_tasks.jobs.status import JOB_DAG

    if dag_run.dag_id != JOB_DAG:
        return
    from sr_tasks.config import Settings
    from sr_tasks.telemetry.statsd import Instruments

    with Instruments(Settings.from_env()) as instruments:
        instruments.job_changed(status)


class JobDeadline(BaseDeadlineReference):
    """When a job is due, evaluated where its run is created; None for a job without a deadline.

    Airflow's own references give every run of a Dag the same time.
    """

    required_kwargs = frozenset({"dag_id", "run_id"})

    def _evaluate_with(self, *, session: "Session", dag_id: str, run_id: str) -> "datetime | None":
        from sr_airflow.deadlines import due_at
        from sr_airflow.internals import request_of_run

        from sr_tasks.config import Settings

        request, accepted_at = request_of_run(session, dag_id, run_id)
        return due_at(request, accepted_at, Settings.from_env())


class JobApi:
    """The REST API of jobs, as an ASGI application that loads itself in the API server alone, at the first request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from sr_console.app import app

        await app(scope, receive, send)


class Page:
    """The page for people, loaded likewise."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from sr_console.web import app

        await app(scope, receive, send)


class SrPlugin(AirflowPlugin):
    name = "sr"
    listeners: list[Any] = [JobListener()]
    deadline_references: list[Any] = [JobDeadline]
    fastapi_apps: list[Any] = [
        {"app": JobApi(), "url_prefix": "/enhance/api/v1", "name": "Jobs"},
        {"app": Page(), "url_prefix": "/enhance", "name": "Enhance"},
    ]
    external_views: list[Any] = [
        {"name": "Enhance", "href": "/enhance/", "destination": "nav", "url_route": "enhance", "category": "browse"}
    ]
