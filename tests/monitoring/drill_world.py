"""What the drill is done on: an embedded Airflow, an exporter and a Prometheus, with hands to break and mend them."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
import yaml
from sr_embedded import state
from sr_embedded.client import Client
from sr_embedded.home import process_env

from sr_tasks.config import REPOSITORY, Settings
from tests import clips
from tests.airflow.launcher import Launcher
from tests.monitoring.drill_rules import Prometheus, prometheus
from tests.monitoring.test_names import MONITORING
from tests.ports import free_port

DISK_BYTES: Final = 512 << 20
_LONGEST_WAIT_S: Final = 420.0
_LIFE_WORTH_RESTARTING_S: Final = 35.0
"""The supervisor of the embedded Airflow gives up on a component that dies younger."""
_EVERY_SECOND: Final = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
}
"""Signs of life come every five seconds otherwise, which is too seldom for windows that are divided."""


class NotSeen(Exception):
    """Something that should have come to pass did not."""


def until(holds: Callable[[], Any], what: str, limit_s: float = _LONGEST_WAIT_S) -> Any:
    """The first true answer. Raises NotSeen."""
    end = time.monotonic() + limit_s
    while not (found := holds()):
        if time.monotonic() > end:
            raise NotSeen(f"not within {limit_s:.0f} s: {what}")
        time.sleep(0.5)
    return found


class Exporter:
    """The stand-in for statsd_exporter, at the same ports whenever it is started."""

    def __init__(self) -> None:
        self.statsd_port, self.port = free_port(), free_port()

    def start(self) -> None:
        mapping = MONITORING / "statsd_mapping.yaml"
        arguments = ["-m", "tests.monitoring.drill_exporter", str(mapping), str(self.statsd_port), str(self.port)]
        self._process = subprocess.Popen([sys.executable, *arguments], cwd=REPOSITORY)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class World:
    """Everything that the drills touch. Paths lie in a folder of its own."""

    def __init__(self, folder: Path, launcher: Launcher, exporter: Exporter, watch: Prometheus) -> None:
        self.folder, self.launcher, self.exporter, self.prometheus = folder, launcher, exporter, watch
        self.models, self.dags, self._jobs = folder / "models", folder / "dags", 0
        self.clip = clips.make(folder / "clip.mp4", frames=12)

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.env())

    def env(self) -> dict[str, str]:
        """That of a process of the running Airflow."""
        known = state.load(self.launcher.home)
        if known is None:
            raise NotSeen("Airflow runs")
        statsd = Settings(statsd_host="127.0.0.1", statsd_port=self.exporter.statsd_port)
        return process_env(self.launcher.home, known.port, known.stack_id, statsd, self.launcher.env)

    def up(self) -> None:
        """`make up`. Raises NotSeen."""
        done = self.launcher.run("up")
        if done.returncode:
            raise NotSeen(f"Airflow starts: {done.stderr}")
        self.client: Client = self.launcher.client()

    def warm_up(self) -> None:
        """One job that goes well, so that every figure was seen once; no alert of the start is left. Raises NotSeen."""
        self.run_dag("watch_queue")
        self.ended(self.submit())
        until(lambda: not self.prometheus.firing(), "no alert fires")

    def down(self) -> None:
        """`make down`."""
        self.launcher.run("down")

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`python -m ...` in the environment of Airflow, as an operator would call it."""
        return subprocess.run([sys.executable, "-m", *words], env=self.env(), capture_output=True, text=True)

    def health(self, component: str) -> str:
        return str(self.client.request("GET", "/api/v2/monitor/health").json()[component]["status"])

    def component(self, name: str) -> psutil.Process:
        """A part of Airflow that has lived long enough to be started again if it dies."""

        def found() -> psutil.Process | None:
            for process in psutil.Process(self.launcher.session()).children():
                if any(word.endswith(name) for word in process.cmdline()):
                    return process if time.time() - process.create_time() > _LIFE_WORTH_RESTARTING_S else None
            return None

        process = until(found, f"{name} runs")
        assert isinstance(process, psutil.Process)
        return process

    def submit(self, **wanted: Any) -> str:
        """Trigger a job of the small clip. Gives its id."""
        self._jobs += 1
        job_id = f"drill-{self._jobs}"
        values = {"source": str(self.clip), "output": str(self.folder / f"{job_id}.mp4"), "model": "bicubic"}
        self.client.trigger(job_id, values | wanted)
        return job_id

    def ended(self, *job_ids: str) -> set[str]:
        """Wait until these jobs have ended; the states they ended in."""

        def found() -> set[str]:
            now = {self.client.run_state(job_id) for job_id in job_ids}
            return set() if now & {"queued", "running"} else now

        return set(until(found, f"{', '.join(job_ids)} end"))

    def run_dag(self, dag_id: str, **conf: Any) -> str:
        """Run another Dag now, as its clock does at times, and wait for it. Gives its run's id."""
        body = {"logical_date": None, "conf": conf}
        run = self.client.request("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body).json()["dag_run_id"]
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}"
        until(lambda: self.client.request("GET", path).json()["state"] == "success", f"{dag_id} succeeds")
        return str(run)

    def task_log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}"
        return json.dumps(self.client.request("GET", path).json())

    def card(self, model: str, version: str, **changes: Any) -> None:
        """Put a copy of bicubic into the registry, or change one."""
        folder = self.models / model / version
        origin = folder if folder.exists() else REPOSITORY / "include" / "models" / "bicubic" / "1"
        card = yaml.safe_load((origin / "card.yaml").read_text(encoding="utf-8"))
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(card | {"name": model, "version": version} | changes)
        (folder / "card.yaml").write_text(text, encoding="utf-8")


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Airflow with a disk, models and Dags of its own, all of it stopped and removed in the end."""
    for name in ("metrics", "disk"):
        (folder / name).mkdir()
    shutil.copytree(REPOSITORY / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    for model in ("bicubic", "compact-x2"):
        shutil.copytree(REPOSITORY / "include" / "models" / model, folder / "models" / model)
    exporter = Exporter()
    env = {
        "SR_WORKDIR": str(folder / "disk" / "work"), "SR_MODELS_DIR": str(folder / "models"),
        "SR_STATE_DIR": str(folder / "state"), "SR_STATSD_HOST": "127.0.0.1",
        "SR_STATSD_PORT": str(exporter.statsd_port), "SR_MIN_FREE_BYTES": str(8 << 20),
        "SR_DEADLINE_HIGH_MINUTES": "0.1", "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"), **_EVERY_SECOND,
    }  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(_disk(folder / "disk"))
        exporter.start()
        stack.callback(exporter.kill)
        watch = stack.enter_context(prometheus(folder / "metrics", exporter.port))
        made = World(folder, Launcher(folder, **env), exporter, watch)
        stack.callback(made.down)
        made.up()
        yield made


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """A small disk of its own, so that it can be filled."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
