"""How soon the REST API answers with many jobs, on SQLite: Airflow's own server in this process, one caller."""

import itertools
import os
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.bench.resources import REPOSITORY
from tests.bench.setting import Table

_JOBS, _CHUNKS, _CALLS = 500, 120, 100


def measure(scratch: Path, table: Table) -> None:
    """In a process of its own: Airflow reads its settings when it is imported."""
    home = scratch / "api"
    home.mkdir()
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "SR_REPO": str(REPOSITORY),
        "SR_WORKDIR": str(home / "work"),
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "plugins", "dags")),
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "tests.bench.api"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("GET "):
            what, p95_ms, work_ms = line.rsplit(" ", 2)
            figure = f"{p95_ms} ms ({work_ms} ms of a core)"
            table.add(f"{what} with {_JOBS} jobs, p95", figure, "< 150 ms", float(p95_ms) < 150)


def _timed() -> None:
    from tests.dags.api_server import Server

    server = Server()
    client = server.signed_in()
    jobs = [_submitted(client, number) for number in range(_JOBS)]
    _give_chunks(jobs)
    some = itertools.cycle(jobs)
    for what, path in (
        ("GET /jobs", lambda: "/jobs?limit=50"),
        ("GET /jobs?status=&name=", lambda: "/jobs?limit=50&status=PROCESSING&name=tape-7"),
        ("GET /jobs/{id}", lambda: f"/jobs/{next(some)}"),
    ):
        client.get(path())
        print(what, *(f"{figure:.1f}" for figure in _p95_ms(client, path)), flush=True)


def _submitted(client: object, number: int) -> str:
    body = {"source": f"/media/tape-{number}.mkv"}
    return str(client.post("/jobs", json=body).json()["job_id"])  # type: ignore[attr-defined]


def _give_chunks(jobs: list[str]) -> None:
    """As jobs in the middle of their work: a task for each chunk, half of them done."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select, update

    columns = [column for column in TaskInstance.__table__.columns if column.name not in ("id", "map_index", "state")]
    with create_session() as session:
        session.execute(update(DagRun).values(state="running"))
        for job in jobs:
            which = (TaskInstance.run_id == job, TaskInstance.task_id == "upscale")
            row = session.execute(select(*columns).where(*which)).mappings().one()
            session.execute(update(TaskInstance).where(TaskInstance.run_id == job).values(state="success"))
            rows = [
                {
                    **row,
                    "id": uuid.uuid4(),
                    "map_index": index,
                    "state": "success" if index % 2 else "scheduled",
                }
                for index in range(_CHUNKS)
            ]
            session.execute(insert(TaskInstance.__table__), rows)


def _p95_ms(client: object, path: object) -> tuple[float, float]:
    """Of the time until the answer, and of the processor time that it took."""
    took, worked = [], []
    for _ in range(_CALLS):
        started, working = time.perf_counter(), time.process_time()
        answer = client.get(path())  # type: ignore[attr-defined,operator]
        took.append(1000 * (time.perf_counter() - started))
        worked.append(1000 * (time.process_time() - working))
        assert answer.status_code == 200, answer.text
    return statistics.quantiles(took, n=20)[-1], statistics.quantiles(worked, n=20)[-1]


if __name__ == "__main__":
    _timed()
