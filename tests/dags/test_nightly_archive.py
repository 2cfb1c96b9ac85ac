"""The nightly Dag: when it runs, in which order, and that its end is judged by its work."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import CronTriggerTimetable

from sr_tasks.errors import InputUnreadable
from tests.dags.interpreters import HEAVY, python

ARCHIVE = {"prefix": "/srv/archive/", "output": "/srv/out/{folder}{stem}{suffix}"}


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "arrivals.yaml"
    file.write_text(json.dumps({"archives": [ARCHIVE], "night": {"cron": "30 23 * * 1-5"}}))
    monkeypatch.setenv("SR_ARRIVALS_FILE", str(file))
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path / "work"))
    return file


def loaded() -> Any:
    import nightly_archive

    return importlib.reload(nightly_archive).nightly_archive()


def test_it_runs_by_the_clock_of_the_rules_and_never_without_an_archive(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timetable = loaded().timetable
    assert isinstance(timetable, CronTriggerTimetable)
    assert timetable.expression == "30 23 * * 1-5"
    monkeypatch.delenv("SR_ARRIVALS_FILE")
    assert not loaded().timetable.can_be_scheduled


def test_the_graph_waits_without_a_worker_and_reports_whatever_happens(rules: Path) -> None:
    dag = loaded()
    assert {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} == {
        "choose": ["enhance", "report"],
        "enhance": ["report"],
        "report": [],
    }
    assert dag.get_task("enhance").mode == "reschedule"
    assert dag.get_task("report").is_teardown
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert dag.doc_md
    assert "arrivals" in dag.tags
    assert dag.owner == "sr"
    assert all(task.retries == 3 for task in dag.tasks)


def fake(monkeypatch: pytest.MonkeyPatch, calls: list[str], error: Exception | None = None) -> None:
    """Stands in for the night, which ends at its second look."""

    def advance(*_: Any) -> bool:
        calls.append("advance")
        if error:
            raise error
        return calls.count("advance") > 1

    night = SimpleNamespace(
        choose=lambda *_: calls.append("choose") or {}, advance=advance, report=lambda *_: calls.append("report") or {}
    )
    package = ModuleType("sr_tasks.arrivals")
    package.night = night  # type: ignore[attr-defined]
    package.__path__ = list(sys.modules["sr_tasks.arrivals"].__path__)
    monkeypatch.setitem(sys.modules, "sr_tasks.arrivals", package)


@pytest.mark.usefixtures("migrated")
def test_a_night_looks_until_it_is_over_and_reports(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    dag = loaded()
    fake(monkeypatch, calls)
    monkeypatch.setattr(dag.get_task("enhance"), "poke_interval", 0.1)
    assert dag.test().state == "success"
    assert calls == ["choose", "advance", "advance", "report"]


@pytest.mark.usefixtures("migrated")
def test_a_night_that_fails_reports_all_the_same_and_is_a_failed_run(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    dag = loaded()
    fake(monkeypatch, calls, InputUnreadable("The folder cannot be listed."))
    assert dag.test().state == "failed"
    assert calls == ["choose", "advance", "report"]


def test_loading_the_dag_loads_nothing_heavy() -> None:
    assert python(f"import sys, nightly_archive; print([name for name in {HEAVY} if name in sys.modules])") == "[]"
