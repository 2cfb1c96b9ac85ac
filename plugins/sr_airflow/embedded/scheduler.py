"""Airflow's scheduler, with what tasks import loaded ahead: its workers fork from it, and tasks from those."""

import importlib
import runpy
import sys

_PRELOADED = (
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.execution_time.supervisor",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.python",
    "sr_airflow.admission",
    "sr_airflow.job",
    "sr_airflow.params",
    "sr_tasks.steps.pipeline",
)
"""None of them opens a device when it is imported. Tasks run this code as it was when Airflow was started."""


if __name__ == "__main__":
    for name in _PRELOADED:
        importlib.import_module(name)
    sys.argv = ["airflow", "scheduler", "--skip-serve-logs"]
    runpy.run_module("airflow", run_name="__main__")
