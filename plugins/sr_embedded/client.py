"""The calls to Airflow's REST API that a launcher makes. Knows no job folder and prints nothing."""

import random
import time
from collections.abc import Iterator
from typing import Any

import httpx

from sr_embedded.home import POOL, USER
from sr_tasks.errors import AirflowUnavailable, UsageError
from sr_tasks.jobs.status import JOB_DAG

_PAGE = 100
_REPEATS = 8
_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class Client:
    """Airflow at one address, as one user. Every call raises AirflowUnavailable if the server does not answer."""

    def __init__(self, url: str, password: str) -> None:
        self._password = password
        self._http = httpx.Client(base_url=url, timeout=20.0, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def warm_up(self) -> bool:
        """Whether the server answers for tasks too. Its first such answer takes seconds, which no task should wait."""
        try:
            return self._http.get("/execution/health/ping").status_code == 200
        except httpx.TransportError:
            return False

    def is_ready(self) -> bool:
        """Whether every component that is needed reports as healthy and the Dag was parsed.

        Raises AirflowUnavailable if it was and does not import.
        """
        try:
            health = self._http.get("/api/v2/monitor/health", timeout=5.0)
            needed = ("metadatabase", "scheduler", "dag_processor")
            if health.status_code != 200 or any(health.json()[name]["status"] != "healthy" for name in needed):
                return False
            if self.request("GET", f"/api/v2/dags/{JOB_DAG}", missing_ok=True).status_code == 200:
                return True
            errors = self.request("GET", "/api/v2/importErrors").json()["import_errors"]
        except (httpx.TransportError, AirflowUnavailable):
            return False
        if errors:
            raise AirflowUnavailable(f"The Dags do not import: {errors[0]['stack_trace'].strip().splitlines()[-1]}")
        return False

    def set_pool(self, slots: int) -> None:
        """Make the pool of the upscaling tasks, or change its size."""
        body = {"name": POOL, "slots": slots, "description": "Devices that enlarge frames", "include_deferred": False}
        if self.request("GET", f"/api/v2/pools/{POOL}", missing_ok=True).status_code == 404:
            self.request("POST", "/api/v2/pools", json=body)
        else:
            self.request("PATCH", f"/api/v2/pools/{POOL}", json=body)

    def trigger(self, job_id: str, conf: dict[str, Any]) -> None:
        """Start a run, once however often it has to be asked for. Raises UsageError if Airflow refuses the request."""
        body = {"dag_run_id": job_id, "logical_date": None, "conf": conf}
        self.request("POST", f"/api/v2/dags/{JOB_DAG}/dagRuns", json=body)

    def run_state(self, job_id: str) -> str:
        return str(self.request("GET", self._run_path(job_id)).json()["state"])

    def has_ended(self, job_id: str) -> bool:
        return self.run_state(job_id) in ("success", "failed")

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        """The run's task instances, those of mapped tasks one by one."""
        return list(self.pages(f"{self._run_path(job_id)}/taskInstances", "task_instances"))

    def is_idle(self, job_id: str) -> bool:
        """Whether every task of the run has ended."""
        return all(task["state"] in _ENDED for task in self.tasks(job_id))

    def cancel(self, job_id: str) -> bool:
        """Mark a run failed; its running tasks are stopped at their next heartbeat. False if there is no such run."""
        answer = self.request("PATCH", self._run_path(job_id), missing_ok=True, json={"state": "failed"})
        return answer.status_code != 404

    def active_runs(self) -> list[str]:
        runs = self.pages(f"/api/v2/dags/{JOB_DAG}/dagRuns", "dag_runs", state=["queued", "running"])
        return [str(run["dag_run_id"]) for run in runs]

    def _run_path(self, job_id: str) -> str:
        return f"/api/v2/dags/{JOB_DAG}/dagRuns/{job_id}"

    def pages(self, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Everything in a list of the API, page by page: `key` names the list in an answer."""
        offset = 0
        while True:
            page = self.request("GET", path, params={**params, "limit": _PAGE, "offset": offset}).json()
            yield from page[key]
            offset += len(page[key])
            if not page[key] or offset >= page["total_entries"]:
                return

    def request(self, method: str, path: str, *, missing_ok: bool = False, **content: Any) -> httpx.Response:
        """Airflow's answer; a failure of its own is tried again. Raises UsageError, AirflowUnavailable."""
        answer = self._send(method, path, content)
        repeats = 0
        # On SQLite two writers can get in each other's way for as long as the database waits for a lock.
        while answer.status_code >= 500 and repeats < _REPEATS:
            time.sleep(random.uniform(0.2, 1.0))
            answer = self._send(method, path, content)
            repeats += 1
        is_done_before = answer.status_code == 409 and repeats > 0
        if answer.is_success or is_done_before or (missing_ok and answer.status_code == 404):
            return answer
        said = f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}"
        if answer.status_code in (400, 409, 422):
            raise UsageError(said)
        raise AirflowUnavailable(said, hint="Its log may say more: logs/embedded/api-server.log.")

    def _send(self, method: str, path: str, content: dict[str, Any]) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **content)
            if answer.status_code == 401:
                self._log_in()
                answer = self._http.request(method, path, **content)
        except httpx.TransportError as exc:
            raise AirflowUnavailable(
                f"Airflow does not answer at {self._http.base_url} ({exc}).", hint="Start it with `make up`."
            ) from exc
        return answer

    def _log_in(self) -> None:
        answer = self._http.post("/auth/token", json={"username": USER, "password": self._password})
        if not answer.is_success:
            raise AirflowUnavailable(
                f"Airflow at {self._http.base_url} does not accept the login of `{USER}`.",
                hint="Another Airflow may listen there: choose a port with SR_AIRFLOW_PORT.",
            )
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
