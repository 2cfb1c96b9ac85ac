"""The Dag that clears scratch: what it says it is, and a run of it."""

import os
import time
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def purge_dag() -> Any:
    import purge_workdirs

    return purge_workdirs.purge_workdirs()


def test_it_says_what_it_is_and_removes_nothing_unasked(purge_dag: Any) -> None:
    assert purge_dag.doc_md
    assert purge_dag.tags
    assert purge_dag.owner == "sr"
    assert purge_dag.max_active_runs == 1
    assert [task.task_id for task in purge_dag.tasks] == ["purge"]
    assert purge_dag.get_task("purge").retries == 3
    assert purge_dag.params["confirm"] is False


@pytest.mark.usefixtures("migrated")
def test_a_run_removes_what_is_old_only_if_it_is_confirmed(
    purge_dag: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    old, young = tmp_path / "jobs" / "old", tmp_path / "jobs" / "young"
    for folder, days in ((old, 30), (young, 1)):
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - days * 86400,) * 2)
    assert purge_dag.test().state == "success"
    assert old.is_dir()
    assert purge_dag.test(run_conf={"confirm": True}).state == "success"
    assert not old.exists()
    assert young.is_dir()
