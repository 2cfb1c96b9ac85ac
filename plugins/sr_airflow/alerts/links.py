"""Addresses of Airflow's pages and of ours in them, from `[api] base_url`. Reads nothing else."""

from urllib.parse import quote, urlsplit

from airflow.sdk.configuration import conf

from sr_tasks.jobs.api import PREFIX


def _base() -> str:
    return (conf.get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")


def dag(dag_id: str) -> str:
    """The page of a Dag."""
    return f"{_base()}/dags/{quote(dag_id, safe='')}"


def job(dag_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{dag(dag_id)}/runs/{quote(run_id, safe='')}"


def log(dag_id: str, run_id: str, step: str, chunk: int | None = None) -> str:
    """The page with the log of a task, of one chunk where there are several."""
    mapped = "" if chunk is None else f"/mapped/{chunk}"
    return f"{job(dag_id, run_id)}/tasks/{quote(step, safe='')}{mapped}"


def review(dag_id: str, run_id: str, step: str) -> str:
    """The page that asks a person to decide."""
    return f"{log(dag_id, run_id, step)}/required_actions?map_index=-1"


def pages(job_id: str) -> str:
    """Where our own pages of a job begin: a path, for what is itself shown by Airflow's server."""
    return f"{urlsplit(_base()).path}{_own(job_id)}"


def report(job_id: str) -> str:
    """The report of a job, with its worst frames."""
    return f"{_base()}{_own(job_id)}/report"


def output(job_id: str) -> str:
    """The finished video, for who is logged in."""
    return f"{_base()}{_own(job_id)}/output"


def _own(job_id: str) -> str:
    return f"{PREFIX}/jobs/{quote(job_id, safe='')}"
