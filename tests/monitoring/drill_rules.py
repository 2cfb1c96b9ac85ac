"""The shipped rules in haste: every duration divided by the same factor, and Prometheus asked what they say.

Changes no threshold but those that are durations themselves.
"""

import json
import os
import re
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.monitoring.test_names import MONITORING
from tests.ports import free_port

FACTOR: Final = 20
LONGEST_S: Final = 180
"""No window is longer than that: what was seen six hours ago may be forgotten after three minutes."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"(?<=\[)\d+[smhd](?=\])|(?<=offset )\d+[smhd]")
_SECONDS: Final = {"sr:objective:job_seconds": r"(?<=vector\()\d+", "SrQueueWaitsLong": r"(?<=> )\d+"}
"""Rules whose threshold is a duration too, and where it stands."""


def hastened(duration: str) -> str:
    """A duration of Prometheus, divided."""
    return f"{round(min(int(duration[:-1]) * _UNITS[duration[-1]] / FACTOR, LONGEST_S) * 1000)}ms"


def in_haste(rules: dict[str, Any]) -> dict[str, Any]:
    """The content of a file of rules, with every duration divided."""
    groups = [{**group, "rules": [_hastened_rule(rule) for rule in group["rules"]]} for group in rules["groups"]]
    return {"groups": groups}


def _hastened_rule(rule: dict[str, Any]) -> dict[str, Any]:
    expr = _RANGE.sub(lambda found: hastened(found[0]), rule["expr"])
    if place := _SECONDS.get(rule.get("alert") or rule["record"]):
        expr = re.sub(place, lambda found: str(int(found[0]) / FACTOR), expr)
    return {**rule, "expr": expr, **({"for": hastened(rule["for"])} if "for" in rule else {})}


def write(folder: Path, exporter_port: int) -> Path:
    """The repository's configuration of Prometheus in haste, scraping that exporter alone. Gives its path."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    config["global"] = {name: hastened(duration) for name, duration in config["global"].items()}
    config["alerting"] = {}
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] == "statsd"]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{exporter_port}"]
    (folder / "rules").mkdir()
    for name in config["rule_files"]:
        rules = yaml.safe_load((MONITORING / name).read_text(encoding="utf-8"))
        (folder / name).write_text(yaml.safe_dump(in_haste(rules)), encoding="utf-8")
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


@dataclass(kw_only=True)
class Span:
    """One time that an alert fired, by the monotonic clock."""

    start_s: float
    end_s: float | None = None


class Prometheus:
    """A running one, whose alerts are looked at all the time."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._spans: dict[str, list[Span]] = {}
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._thread.start()

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._base + path, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> dict[str, float]:
        """Of every series that the query gives, by its labels as text. Durations are divided before it is asked."""
        hasty = _RANGE.sub(lambda found: hastened(found[0]), query)
        rows = self.get(f"/api/v1/query?query={urllib.parse.quote(hasty)}")["result"]
        return {json.dumps(row["metric"], sort_keys=True): float(row["value"][1]) for row in rows}

    def value(self, query: str) -> float:
        """Of the one series that the query gives; 0 if it gives none."""
        return next(iter(self.values(query).values()), 0.0)

    def spans(self, alert: str) -> list[Span]:
        """The times it fired so far."""
        with self._lock:
            return list(self._spans.get(alert, []))

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        with self._lock:
            return {alert for alert, spans in self._spans.items() if spans[-1].end_s is None}

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look_on(self) -> None:
        while not self._ended.wait(0.3):
            try:
                alerts = self.get("/api/v1/alerts")["alerts"]
            except OSError:
                continue
            self._note({alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"})

    def _note(self, firing: set[str]) -> None:
        now = time.monotonic()
        with self._lock:
            for name in firing | self._spans.keys():
                spans = self._spans.setdefault(name, [])
                is_open = bool(spans) and spans[-1].end_s is None
                if name in firing and not is_open:
                    spans.append(Span(start_s=now))
                if name not in firing and is_open:
                    spans[-1].end_s = now


@contextmanager
def prometheus(folder: Path, exporter_port: int) -> Iterator[Prometheus]:
    """Debian's Prometheus on the rules in haste."""
    port, config = free_port(), write(folder, exporter_port)
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"})
    running = Prometheus(port)
    try:
        yield running
    finally:
        running.close()
        process.terminate()
        process.wait(20)
