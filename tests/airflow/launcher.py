"""The embedded Airflow as the tests use it: a launcher with a home of its own, and a look at its jobs."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import psutil
from sr_embedded import state
from sr_embedded.client import Client
from sr_embedded.home import USER, read_password

from sr_tasks.config import REPOSITORY
from sr_tasks.jobs.status import JOB_DAG


class Launcher:
    """`python -m sr_embedded` on a home of its own."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.home = folder / "home"
        self.workdir = folder / "work"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SR_"))},
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / part) for part in ("", "plugins")),
            "SR_AIRFLOW_HOME": str(self.home),
            "SR_AIRFLOW_PORT": "0",
            "SR_WORKDIR": str(self.workdir),
            **env,
        }

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sr_embedded", *map(str, arguments)]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=900)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def client(self) -> Client:
        known = state.load(self.home)
        assert known is not None
        return Client(known.url, read_password(self.home))

    def ask(self, method: str, path: str, *, dag_id: str = JOB_DAG, **content: Any) -> Any:
        """A call to Airflow's REST API below a Dag; gives the answer's JSON."""
        known = state.load(self.home)
        assert known is not None
        with httpx.Client(base_url=known.url, timeout=120.0, trust_env=False) as http:
            login = {"username": USER, "password": read_password(self.home)}
            token = http.post("/auth/token", json=login).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            for _ in range(10):  # on SQLite two writers can get in each other's way, as for the launchers themselves
                answer = http.request(method, f"/api/v2/dags/{dag_id}/{path}", headers=headers, **content)
                if answer.status_code < 500:
                    break
                time.sleep(0.5)
            assert answer.is_success, answer.text
            return answer.json()

    def processes(self, session: int | None = None) -> list[psutil.Process]:
        """Every live process that was started for this home, launchers included."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                mine = process.environ().get("SR_AIRFLOW_HOME") == str(self.home)
                if (mine or os.getsid(process.pid) == session) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def session(self) -> int:
        known = state.load(self.home)
        assert known is not None
        return known.supervisor_pid


def long_clip(path: Path) -> Path:
    """Enough frames to be caught in the middle of; each differs from the next, and is cheap to make."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 960, 540, "yuv420p"
        for number in range(400):
            pixels = np.full((540, 960, 3), number % 200, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def states(client: Client, job_id: str) -> dict[str, tuple[str, int]]:
    return {task["task_id"]: (task["state"], task["try_number"]) for task in client.tasks(job_id)}


def finished(client: Client, job_id: str) -> str:
    while (run_state := client.run_state(job_id)) in ("queued", "running"):
        time.sleep(0.3)
    return run_state
