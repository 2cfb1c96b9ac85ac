"""Addresses of Airflow's own pages, from `[api] base_url`. Reads nothing else."""

from urllib.parse import quote

from airflow.sdk.configuration import conf


def job(dag_id: str, run_id: str) -> str:
    """The page of a run."""
    base = conf.get("api", "base_url", fallback="") or "http://localhost:8080"
    return f"{base.rstrip('/')}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def log(dag_id: str, run_id: str, step: str, chunk: int | None = None) -> str:
    """The page with the log of a task, of one chunk where there are several."""
    mapped = "" if chunk is None else f"/mapped/{chunk}"
    return f"{job(dag_id, run_id)}/tasks/{quote(step, safe='')}{mapped}"


def review(dag_id: str, run_id: str, step: str) -> str:
    """The page that asks a person to decide."""
    return f"{log(dag_id, run_id, step)}/required_actions?map_index=-1"
