"""Commands of docs/operations.md, word for word, on what a cluster has in its database."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from sr_tasks.config import REPOSITORY
from tests.cluster import backing
from tests.cluster.stack import Cluster, until

pytestmark = pytest.mark.cluster

COMMANDS = re.findall(r"^    (\w.*)$", (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8"), re.MULTILINE)
CONTENT = "SELECT run_id, state FROM dag_run", "SELECT version_num FROM alembic_version"


def documented(start: str, *more: str) -> str:
    """The one command of the guide that begins so and has these words."""
    (found,) = {line for line in COMMANDS if line.startswith(start) and all(word in line for word in more)}
    return found


def shell(command: str, env: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, shell=True, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def content(env: dict[str, str]) -> list[str]:
    ask = ["psql", "--no-align", "--tuples-only", "--dbname=airflow", "--command"]
    return [
        subprocess.run([*ask, query], env=env, check=True, capture_output=True, text=True).stdout for query in CONTENT
    ]


def test_a_dump_of_a_running_cluster_is_the_same_database_again_on_an_empty_server(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.client.trigger("job-dumped", {"source": "s3://videos/nothing.mp4"})
    until(lambda: cluster.client.run_state("job-dumped") == "failed", "a job is over")
    before = content(cluster.database)
    shell(documented("pg_dump"), cluster.database, tmp_path)
    with backing.postgres("another password") as port:
        other = backing.client_env(port, "another password")
        for command in (documented("createdb"), documented("pg_restore"), documented("psql", "REVOKE")):
            shell(command, other, tmp_path)
        restored = content(other)
    assert "job-dumped|failed" in restored[0]
    assert restored[1] == before[1]
    assert set(before[0].splitlines()) <= set(restored[0].splitlines()) | running_then(before[0])


def running_then(rows: str) -> set[str]:
    """Rows that may have changed between the look and the dump."""
    return {row for row in rows.splitlines() if "|running|" in row or "|queued|" in row}


def test_what_a_worker_needs_is_in_the_archive_of_registry_and_state(cluster: Cluster, tmp_path: Path) -> None:
    command = documented("tar --create --gzip --file=models.tgz")
    shell(command.replace("--directory=/", f"--directory={cluster.folder}"), dict(os.environ), tmp_path)
    names = subprocess.run(
        ["tar", "--list", "--file=models.tgz"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert {"models/bicubic/1/card.yaml", "scratch/state/"} <= set(names.stdout.splitlines())


def test_a_drained_cluster_comes_to_rest_and_goes_on(cluster: Cluster, tmp_path: Path) -> None:
    env = {**os.environ, **cluster.environment("scheduler")}
    at_rest = documented("psql", "'queued', 'running'")
    shell(documented("airflow pools set gpu 0"), env, tmp_path)
    shell(documented("airflow dags pause"), env, tmp_path)
    until(lambda: "(0 rows)" in shell(at_rest, cluster.database, tmp_path), "nothing is queued or runs")
    assert all(dag["is_paused"] for dag in cluster.ask("GET", "dags")["dags"])
    cluster.client.trigger("job-resting", {"source": "s3://videos/nothing.mp4"})
    shell(documented("airflow pools set gpu 1"), env, tmp_path)
    assert cluster.client.run_state("job-resting") == "queued"
    shell(documented("airflow dags unpause"), env, tmp_path)
    until(lambda: cluster.client.run_state("job-resting") == "failed", "what waited goes on")
    assert cluster.ask("GET", "pools/gpu")["slots"] == 1
