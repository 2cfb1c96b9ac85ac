"""Airflow's scheduler, with what tasks import loaded ahead: its workers fork from it, and tasks from those.

It begins once the API server answers. A task that began before would wait for it in vain and fail, and a call that
breaks off while that server gets ready can leave SQLite locked.
"""

import contextlib
import importlib
import os
import runpy
import sys
import time

import httpx

_WAIT_S = 120.0
_PRELOADED = (
    "airflow.jobs.scheduler_job_runner",
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


def wait_for_api(url: str, timeout_s: float = _WAIT_S) -> bool:
    """Whether the server answers for tasks, waiting for it. Its first such answer takes seconds."""
    end = time.monotonic() + timeout_s
    with httpx.Client(base_url=url, timeout=timeout_s, trust_env=False) as client:
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):  # it does not listen yet
                if client.get("/execution/health/ping").status_code == httpx.codes.OK:
                    return True
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    for name in _PRELOADED:
        importlib.import_module(name)
    if not wait_for_api(os.environ["AIRFLOW__API__BASE_URL"]):
        print(f"The API server did not answer within {_WAIT_S:.0f} s; the scheduler begins all the same.", flush=True)
    sys.argv = ["airflow", "scheduler", "--skip-serve-logs"]
    runpy.run_module("airflow", run_name="__main__")
