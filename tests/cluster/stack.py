"""A cluster on this machine: what keeps state, Airflow's processes and two workers, each started, killed and watched
alone. Nothing of it is left when it is closed, however far the start got."""

import contextlib
import functools
import os
import secrets as random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import yaml
from sr_embedded.client import Client

from sr_tasks.config import REPOSITORY
from tests.cluster import backing
from tests.cluster.packages import python_home
from tests.cluster.services import DOCKER, Place

AIRFLOW = ("scheduler", "dag-processor", "triggerer", "worker-cpu", "worker-gpu")
MARK = "SR_TEST_CLUSTER"
START_TIMEOUT_S = 300.0


def until(holds: Callable[[], Any], what: str, timeout_s: float = 300.0) -> Any:
    """Wait for a condition, and give what it gave."""
    end = time.monotonic() + timeout_s
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to pass: {what}")
        time.sleep(0.2)
    return found


class Cluster:
    """The running cluster. `folder` holds all that it writes but the database."""

    def __init__(self, place: Place, store: str, database: dict[str, str], statsd: backing.StatsdReceiver) -> None:
        self.place, self.folder, self.store, self.database, self.statsd = place, place.folder, store, database, statsd
        self._mark = random.token_hex(8)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def address(self) -> str:
        return self.place.variables["SR_BASE_URL"]

    def secret(self, name: str) -> str:
        return (self.place.secrets / name).read_text()

    @functools.cached_property
    def client(self) -> Client:
        return Client(self.address, self.secret("admin_password"))

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """A call below /api/v2; gives the answer's JSON."""
        return self.client.request(method, f"/api/v2/{path}", **content).json()

    def aws(self, name: str) -> Any:
        words = self.secret("aws_credentials").split()
        named = {"aws_access_key_id": words[3], "aws_secret_access_key": words[6], "region_name": "us-east-1"}
        return boto3.client(name, endpoint_url=self.store, **named)

    def environment(self, name: str) -> dict[str, str]:
        return {**self.place.env(name), MARK: self._mark}

    def run_once(self, name: str, *command: str) -> str:
        """Run a service that ends by itself, or another command in its place; gives what it printed."""
        words = [*self.place.command(name)[:2], *command] if command else self.place.command(name)
        done = subprocess.run(
            words, env=self.environment(name), cwd=self.folder, capture_output=True, text=True, check=False
        )
        with (self.folder / "output" / f"{name}.log").open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise RuntimeError(f"{name} {command} ended with {done.returncode}: {(done.stdout + done.stderr)[-3000:]}")
        return done.stdout

    def start(self, name: str) -> None:
        with (self.folder / "output" / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self.place.command(name), env=self.environment(name), cwd=self.folder, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """SIGKILL to every process of a service at once, as when its machine loses power."""
        root = psutil.Process(self._running[name].pid)
        family = {*root.children(recursive=True), *self.processes(name)}
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=60)
        self._running.pop(name).wait()

    def processes(self, name: str | None = None) -> list[psutil.Process]:
        """Live processes of one service, or of all: those of its session, and those that left it but know its mark."""
        sessions = [process.pid for service, process in self._running.items() if name in (None, service)]
        return [process for process in psutil.process_iter() if self._is_of(process, name, sessions)]

    def _is_of(self, process: psutil.Process, name: str | None, sessions: list[int]) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            if os.getsid(process.pid) in sessions:
                return True
            environ = process.environ()
        except (psutil.Error, OSError):
            return False
        return environ.get(MARK) == self._mark and name in (None, environ.get("HOSTNAME"))

    def bring_up(self) -> None:
        (self.folder / "output").mkdir()
        self.run_once("migrate")
        self.run_once("buckets")
        self.start("api-server")
        until(self._answers, "the api-server answers", START_TIMEOUT_S)
        for name in AIRFLOW:
            self.start(name)
        until(self._is_healthy, "every component is healthy and the Dags are known", START_TIMEOUT_S)

    def close(self) -> None:
        while left := self.processes():
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(left, timeout=30)
        for process in self._running.values():
            process.wait()

    def _answers(self) -> bool:
        if (code := self._running["api-server"].poll()) is not None:
            log = (self.folder / "output" / "api-server.log").read_text()
            raise RuntimeError(f"the api-server ended with {code}: {log[-3000:]}")
        return self.client.warm_up()

    def _is_healthy(self) -> bool:
        health = httpx.get(f"{self.address}/api/v2/monitor/health", timeout=30).json()
        ready = all(health[name]["status"] == "healthy" for name in ("scheduler", "dag_processor", "triggerer"))
        return ready and self.client.is_ready() and len(self.ask("GET", "dags")["dags"]) >= len(DAGS)


DAGS = tuple((REPOSITORY / "dags").glob("*.py"))


@contextlib.contextmanager
def running(folder: Path, arrivals: dict[str, Any], **settings: str) -> Iterator[Cluster]:
    """A cluster with these rules for arrivals (`{queue}` in their `notifications` is a queue that is made), and these
    settings besides."""
    secrets = _make_secrets(folder)
    password = (secrets / "postgres_password").read_text()
    statsd = backing.StatsdReceiver()
    with (
        contextlib.closing(statsd),
        backing.object_store() as store,
        backing.postgres(password) as database_port,
        backing.broker(folder / "rabbitmq", secrets / "rabbitmq_user") as broker_port,
    ):
        for path in secrets.iterdir():
            text = path.read_text().replace("@postgres/", f"@127.0.0.1:{database_port}/")
            path.write_text(text.replace("@rabbitmq:5672/", f"@127.0.0.1:{broker_port}/"))
        database = backing.client_env(database_port, password)
        place = _place(folder, secrets, store, statsd.port, settings)
        _make_databases(place, database)
        cluster = Cluster(place, store, database, statsd)
        try:
            _write_rules(cluster, arrivals)
            cluster.bring_up()
            yield cluster
        finally:
            cluster.close()


def _make_secrets(folder: Path) -> Path:
    """By the script that a deployment calls."""
    shutil.copy(DOCKER / "make_secrets.sh", folder)
    subprocess.run(["sh", str(folder / "make_secrets.sh")], check=True, capture_output=True)
    return folder / "secrets"


def _make_databases(place: Place, database: dict[str, str]) -> None:
    """Airflow's, and Celery's by the script that Compose's PostgreSQL runs."""
    named = {"POSTGRES_USER": "airflow", "POSTGRES_DB": "airflow", "SECRETS": str(place.secrets)}
    subprocess.run(["createdb", "airflow"], env=database, check=True)
    subprocess.run(["sh", str(DOCKER / "postgres_results.sh")], env={**database, **named}, check=True)


def _place(folder: Path, secrets: Path, store: str, statsd_port: int, settings: dict[str, str]) -> Place:
    port = backing.free_port()
    for name in ("scratch", "models"):
        (folder / name).mkdir()
    address = f"http://127.0.0.1:{port}"
    return Place(
        folder=folder,
        secrets=secrets,
        python_home=python_home(),
        variables={"SR_BASE_URL": address, "SR_S3_ENDPOINT_URL": store, "SR_CPU_QUEUES": "default"},
        settings={
            "AIRFLOW__API__PORT": str(port),
            "SR_ARRIVALS_FILE": str(folder / "arrivals.yaml"),
            **_logs_to_s3(store),
            **settings,
        },
        hosts={
            "/opt/sr": str(REPOSITORY),
            "/scratch": str(folder / "scratch"),
            "/models": str(folder / "models"),
            "http://api-server:8080": address,
            "statsd-exporter": "127.0.0.1",
            "9125": str(statsd_port),
            "0.0.0.0": "127.0.0.1",
        },
    )


def _logs_to_s3(store: str) -> dict[str, str]:
    """docker/logs-to-s3.env, which operations.md has people put into docker/sr.env."""
    lines = (DOCKER / "logs-to-s3.env").read_text(encoding="utf-8").replace("http://s3:8333", store).splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _write_rules(cluster: Cluster, arrivals: dict[str, Any]) -> None:
    queue = cluster.aws("sqs").create_queue(QueueName="uploads")["QueueUrl"]
    rules = {**arrivals, "notifications": queue} if "uploads" in arrivals else arrivals
    (cluster.folder / "arrivals.yaml").write_text(yaml.safe_dump(rules))
