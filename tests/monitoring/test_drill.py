"""What the drill stands on, without Airflow: it knows every alert, and its hasty rules are the shipped ones divided."""

import re
import subprocess
from pathlib import Path

import yaml

from tests.monitoring.drill_faults import DRILLS
from tests.monitoring.drill_rules import in_haste, write
from tests.monitoring.test_names import ALERTS, MONITORING, RUNBOOKS

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds(duration: str) -> float:
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhd])", duration))


def test_every_alert_has_a_drill() -> None:
    drilled = [alert for alerts in DRILLS for alert in alerts]
    assert sorted(drilled) == sorted(rule["alert"] for rule in ALERTS)


def test_every_runbook_says_how_it_was_tried() -> None:
    for path in RUNBOOKS.glob("*.md"):
        (tried,) = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("Tried: ")]
        assert tried.count("; ") >= 2, f"{path.name} does not say what was caused, what was seen and what ended it"


def test_the_rules_in_haste_ask_the_same_of_shorter_times() -> None:
    shipped = yaml.safe_load((MONITORING / "rules" / "alerts.yml").read_text(encoding="utf-8"))
    hasty = in_haste(shipped)
    for before, after in zip(
        (rule for group in shipped["groups"] for rule in group["rules"]),
        (rule for group in hasty["groups"] for rule in group["rules"]),
        strict=True,
    ):
        times = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+|(?<=> )900|(?<=> )45\.0")
        assert times.sub("*", before["expr"]) == times.sub("*", after["expr"])
        assert "1h" not in after["expr"].replace("_1h", "").replace("burn1h", "")
        if "for" in before:
            assert seconds(after["for"]) == seconds(before["for"]) / 20


def test_prometheus_takes_the_rules_in_haste(tmp_path: Path) -> None:
    config = write(tmp_path, 9102)
    done = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
