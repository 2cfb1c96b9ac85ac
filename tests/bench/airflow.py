"""What going through a running Airflow adds to a job, against the command line on the same clip."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.resources import REPOSITORY
from tests.bench.setting import Table


def measure(clip: Path, scratch: Path, table: Table, rounds: int) -> None:
    home = tempfile.mkdtemp(prefix="sr-bench-")
    workdir = str(scratch / "airflow-workdir")
    environment = {**os.environ, "SR_AIRFLOW_HOME": home, "SR_WORKDIR": workdir, "PYTHONPATH": _path()}
    _launcher(["up"], environment)
    try:
        _through_airflow(clip, scratch / "warm.mp4", environment)
        airflow_s = min(_through_airflow(clip, scratch / f"a{n}.mp4", environment) for n in range(rounds))
        direct_s = min(_direct(clip, scratch / f"d{n}.mp4", environment) for n in range(rounds))
    finally:
        _launcher(["down"], environment)
    more = airflow_s - direct_s
    table.add(
        "job through a running Airflow against the command line",
        f"{airflow_s:.1f} s - {direct_s:.1f} s = {more:+.1f} s",
        "<= 8 s more",
        more <= 8,
    )


def _path() -> str:
    return os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "plugins")])


def _launcher(arguments: list[str], environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, "-m", "sr_embedded", *arguments],
        cwd=REPOSITORY, env=environment, check=True, capture_output=True,
    )  # fmt: skip


def _through_airflow(clip: Path, output: Path, environment: dict[str, str]) -> float:
    started = time.monotonic()
    _launcher(["enhance", str(clip), str(output)], environment)
    return time.monotonic() - started


def _direct(clip: Path, output: Path, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "sr_tasks", "enhance", str(clip), str(output), "--json"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True, text=True)
    json.loads(done.stdout.strip().splitlines()[-1])
    return time.monotonic() - started
