"""What Airflow loads from this folder: a listener that counts jobs by status. Imports nothing until a job changes.

Airflow imports this module in each of its processes, tasks included, so everything else stays out of it.
"""

from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

_DAG_ID = "upscale_video"


class JobListener:
    """Called in the scheduler when a run changes its state; sends one counter and never raises.

    Looks at nothing but the run's own columns: a query from here would commit the scheduler's transaction and end it.
    """

    @hookimpl
    def on_dag_run_running(self, dag_run: "DagRun", msg: str) -> None:
        _count(dag_run, "PROCESSING")

    @hookimpl
    def on_dag_run_success(self, dag_run: "DagRun", msg: str) -> None:
        _count(dag_run, "COMPLETED")

    @hookimpl
    def on_dag_run_failed(self, dag_run: "DagRun", msg: str) -> None:
        _count(dag_run, "FAILED")


def _count(dag_run: "DagRun", status: str) -> None:
    if dag_run.dag_id != _DAG_ID:
        return
    from sr_tasks.config import Settings
    from sr_tasks.telemetry.statsd import Instruments

    instruments = Instruments(Settings.from_env())
    instruments.job_changed(status)
    instruments.close()


class SrPlugin(AirflowPlugin):
    name = "sr"
    listeners: list[Any] = [JobListener()]
