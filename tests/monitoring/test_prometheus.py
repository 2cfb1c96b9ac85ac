"""Debian's Prometheus and Alertmanager judge the files, and a Prometheus scrapes what a real job sent.

Between job and Prometheus stands a stand-in for statsd_exporter that reads the same mapping file.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from sr_tasks.telemetry.statsd import Instruments
from tests.clips import Clip, make
from tests.monitoring.exporter import MappingFile, exporter
from tests.ports import free_port

MONITORING = Path(__file__).resolve().parents[2] / "docker" / "monitoring"


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "config", "prometheus.yml"),
        ("promtool", "check", "rules", "rules/recording.yml", "rules/alerts.yml"),
        ("promtool", "test", "rules", "rules/tests.yml"),
        ("amtool", "check-config", "alertmanager.yml"),
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_the_tools_find_nothing_wrong(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "SrErrorRateHigh", "severity": "page"}, "on-call"),
        ({"alertname": "SrDeadlineMissed", "severity": "ticket"}, "team"),
    ],
    ids=["page", "ticket"],
)
def test_a_page_wakes_somebody_and_a_ticket_does_not(labels: dict[str, str], receiver: str) -> None:
    words = [f"{key}={value}" for key, value in labels.items()]
    config = f"--config.file={MONITORING / 'alertmanager.yml'}"
    done = subprocess.run(["amtool", "config", "routes", "test", config, *words], capture_output=True, text=True)
    assert done.stdout.strip() == receiver, done.stderr


def test_no_secret_is_in_the_files() -> None:
    for path in MONITORING.rglob("*.y*ml"):
        text = path.read_text(encoding="utf-8")
        assert "hooks.slack.com" not in text, path
        assert "auth_password:" not in text, path


class Prometheus:
    """A running one, asked over its HTTP interface."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._base + path, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, query: str) -> float | None:
        result = self.get(f"/api/v1/query?query={urllib.parse.quote(query)}")["result"]
        return float(result[0]["value"][1]) if result else None

    def wait(self, query: str, wanted: float) -> None:
        deadline, seen = time.monotonic() + 240, None
        while time.monotonic() < deadline:
            try:
                seen = self.value(query)
            except OSError:
                seen = None
            if seen == wanted:
                return
            time.sleep(0.2)
        raise AssertionError(f"{query} is {seen}, not {wanted}")


@pytest.fixture
def statsd() -> Iterator[tuple[int, int]]:
    with exporter(MappingFile(MONITORING / "statsd_mapping.yaml")) as ports:
        yield ports


@pytest.fixture
def prometheus(statsd: tuple[int, int], tmp_path: Path) -> Iterator[Prometheus]:
    """Runs with the repository's own configuration, but for addresses and haste."""
    port = free_port()
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["alerting"] = {}
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "statsd"]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{statsd[1]}"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copytree(MONITORING / "rules", tmp_path / "rules")
    command = [
        "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})
    try:
        yield Prometheus(port)
    finally:
        process.kill()  # its data is the test's own
        process.wait()


def test_prometheus_scrapes_what_a_real_job_sent(
    statsd: tuple[int, int], prometheus: Prometheus, tmp_path: Path
) -> None:
    settings = Settings(
        workdir=tmp_path / "work", state_dir=tmp_path / "state", precision="fp32", statsd_host="127.0.0.1",
        statsd_port=statsd[0], device_hour_cost=3600.0,
    )  # fmt: skip
    instruments = Instruments(settings)
    instruments.begin()
    prometheus.wait('sr_jobs_total{status="completed"}', 0)
    prometheus.wait('sr_failures_total{code="INPUT_NOT_FOUND", fault="request"}', 0)
    source = make(tmp_path / "clip.mp4", Clip(frames=10))
    pipeline.run(JobSpec(source=str(source), model="bicubic"), "a", settings, Observers())
    with pytest.raises(InputNotFound):
        pipeline.run(JobSpec(source=str(tmp_path / "gone.mp4"), model="bicubic"), "b", settings, Observers())
    prometheus.wait('sr_jobs_total{status="failed"}', 1)
    prometheus.wait('sr_jobs_total{status="completed"}', 1)
    prometheus.wait('sr_failures_total{code="INPUT_NOT_FOUND", fault="request"}', 1)
    prometheus.wait("sr_frames_total", 10)
    prometheus.wait("sr_job_seconds_count", 1)
    prometheus.wait('sr_verdicts_total{decision="passed", model="bicubic", version="1"}', 1)
    prometheus.wait("round(sr_cost_total / sr_device_seconds_total, 0.001)", 1)
    prometheus.wait("sr:objective:error_ratio", 0.01)
    # A job that failed through its own fault burns nothing, though it is half of all that ended.
    prometheus.wait("sr:job_errors:ratio_rate1h", 0)
    groups = prometheus.get("/api/v1/rules")["groups"]
    ill = {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")}
    assert ill == {}
    assert sum(len(group["rules"]) for group in groups) > 20
