"""From the code to the dashboard no name is lost: what is sent is mapped, and what is asked for exists."""

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.telemetry.statsd import INSTRUMENTS, Instrument
from tests.monitoring.exporter import MappingFile

REPOSITORY = Path(__file__).resolve().parents[2]
MONITORING = REPOSITORY / "docker" / "monitoring"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
MAPPING = MappingFile(MONITORING / "statsd_mapping.yaml")
PROMETHEUS_OWN = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity", "area"}}
DASHBOARDS = sorted((MONITORING / "grafana" / "dashboards").glob("*.json"))


def rules(name: str) -> list[dict[str, Any]]:
    content = yaml.safe_load((MONITORING / "rules" / name).read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


ALERTS = rules("alerts.yml")
RECORDED = {rule["record"] for rule in rules("recording.yml")}


def expressions() -> list[tuple[str, str]]:
    """Every query there is, with where it stands."""
    found = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in [*rules("recording.yml"), *ALERTS]]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
    return found


def example(row: Instrument) -> str:
    return "sr." + re.sub(r"<(\w+)>", r"\1", row.name)


def metric_of(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("row", INSTRUMENTS, ids=lambda row: row.name)
def test_whatever_the_code_sends_is_mapped_with_a_label_for_every_part(row: Instrument) -> None:
    mapped = MAPPING.of(example(row))
    assert mapped is not None, f"{row.name} is dropped"
    if row.name.count("<"):
        assert set(re.findall(r"<(\w+)>", row.name)) == set(mapped.labels.values())
    assert mapped.name.endswith("_total") == (row.kind == "counter")
    assert ("seconds" in mapped.name and not mapped.name.endswith("_total")) == (row.kind == "timer")
    assert bool(mapped.buckets) == (row.kind == "timer")


def test_nothing_is_mapped_that_nobody_sends() -> None:
    sent = [example(row) for row in INSTRUMENTS]
    template = files("airflow._shared.observability.metrics").joinpath("metrics_template.yaml")
    told = yaml.safe_load(template.read_text(encoding="utf-8"))["metrics"]
    for metric in told:
        names = {metric["name"], metric["legacy_name"]} - {"-"}
        sent += ["airflow." + re.sub(r"\{(\w+)\}", r"\1", name) for name in names]
    for row in MAPPING.rows[:-1]:
        pattern = r"\.".join("[^.]+" if part == "*" else re.escape(part) for part in row["match"].split("."))
        assert any(re.fullmatch(pattern, name) for name in sent), f"nobody sends {row['match']}"


def test_what_has_no_mapping_is_dropped() -> None:
    assert MAPPING.of("sr.jobs.completed.too.long") is None
    assert MAPPING.of("airflow.scheduler.scheduler_loop_duration") is None


@pytest.mark.parametrize(("where", "expr"), expressions(), ids=lambda value: value[:40])
def test_every_name_and_label_that_is_asked_for_exists(where: str, expr: str) -> None:
    known = MAPPING.exported() | PROMETHEUS_OWN
    quoted = re.sub(r'"[^"]*"', '""', expr)
    names = re.findall(r"\b(?:sr|airflow)_\w+|\b(?:up|ALERTS)\b(?=\{)", quoted)
    recorded = re.findall(r"\bsr:[\w:]+", quoted)
    assert names or recorded or "vector" in expr
    for name in names:
        assert metric_of(name) in known, f"{where} asks for {name}"
    assert set(recorded) <= RECORDED, f"{where}: {set(recorded) - RECORDED}"
    for name, matchers in re.findall(r"\b(\w+)\{([^}]*)\}", quoted):
        labels = {part.split("=")[0].strip("!~ ") for part in matchers.split(",")}
        assert labels <= known[metric_of(name)] | {"job"}, f"{where}: {name} has no {labels}"


def test_the_queries_of_the_dashboards_parse(tmp_path: Path) -> None:
    queries = [expr.replace("$__range", "1h") for where, expr in expressions() if ": " in where]
    listed = [{"record": f"dashboard:query:{index}", "expr": expr} for index, expr in enumerate(queries)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": listed}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_one_grafana_can_load(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == path.stem
    assert {link["url"] for link in board["links"]} == {f"/d/{other.stem}" for other in DASHBOARDS if other != path}
    sources = MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    uids = {source["uid"] for source in yaml.safe_load(sources.read_text(encoding="utf-8"))["datasources"]}
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= uids
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_there_are_the_four_dashboards() -> None:
    assert [path.stem for path in DASHBOARDS] == ["debug", "executive", "models", "on-call"]


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_and_has_a_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"
    runbook = (REPOSITORY / rule["annotations"]["runbook_url"]).read_text(encoding="utf-8")
    assert runbook.startswith(f"# {rule['alert']}\n")
    for heading in ("## What it means", "## How to see it", "## What to do"):
        assert f"\n{heading}\n" in runbook


def test_no_runbook_is_of_an_alert_that_is_gone() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {rule["alert"] for rule in ALERTS}


def test_runbooks_ask_only_for_what_exists() -> None:
    known = MAPPING.exported()
    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"\b(?:sr|airflow)_[a-z_]+(?=[\{\[`])", text):
            assert metric_of(name) in known or name == "sr_tasks", f"{path.name} asks for {name}"


def test_every_alert_is_raised_once_by_a_test_of_rules() -> None:
    tests = yaml.safe_load((MONITORING / "rules" / "tests.yml").read_text(encoding="utf-8"))["tests"]
    raised = {case["alertname"] for test in tests for case in test.get("alert_rule_test", ()) if case["exp_alerts"]}
    assert raised == {rule["alert"] for rule in ALERTS}
