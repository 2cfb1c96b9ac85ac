"""The Dag of folders of pictures: its graph and form, and a run of its tasks over real pictures."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import FOLDER_DAG
from tests.dags.interpreters import HEAVY, python
from tests.steps import folders


@pytest.fixture(scope="module")
def pictures_dag() -> Any:
    import upscale_pictures

    return upscale_pictures.upscale_pictures()


def test_it_lists_enlarges_shards_on_the_gpu_and_reports(pictures_dag: Any) -> None:
    assert pictures_dag.dag_id == FOLDER_DAG
    assert {task.task_id: sorted(task.downstream_task_ids) for task in pictures_dag.tasks} == {
        "list_pictures": ["enlarge"],
        "enlarge": ["report"],
        "report": [],
    }
    assert pictures_dag.get_task("enlarge").is_mapped
    assert [task.task_id for task in pictures_dag.tasks if task.pool == "gpu"] == ["enlarge"]
    assert {(task.retries, task.retry_delay) for task in pictures_dag.tasks} == {(3, timedelta(seconds=5))}
    assert pictures_dag.doc_md
    assert pictures_dag.owner == "sr"
    assert list(pictures_dag.params) == list(JobSpec.model_fields)


def test_loading_it_loads_nothing_heavy() -> None:
    code = f"import sys, upscale_pictures; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code) == "[]"


def test_its_tasks_wait_for_devices_in_one_order_with_those_of_videos() -> None:
    import airflow_local_settings as policy

    tasks = [SimpleNamespace(dag_id=dag_id, priority_weight=1) for dag_id in (FOLDER_DAG, "upscale_video")]
    for task in tasks:
        policy.task_instance_mutation_hook(
            task, dag_run=SimpleNamespace(conf={}, run_after=datetime(2026, 5, 4, 12, tzinfo=UTC))
        )
    assert tasks[0].priority_weight == tasks[1].priority_weight < 0


@pytest.mark.usefixtures("migrated")
def test_a_run_delivers_the_pictures_and_names_a_broken_one(
    pictures_dag: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path / "work"))
    source, output = folders.pictures(tmp_path / "in", 30), tmp_path / "out"
    (source / "noise.png").write_bytes(b"no picture" * 9)
    conf = {"source": f"{source}/", "output": str(output), "model": "bicubic"}
    run = pictures_dag.test(run_conf=conf)
    assert run.state == "success"
    assert len([ti for ti in run.get_task_instances() if ti.task_id == "enlarge"]) == 2
    assert folders.manifest(output)["counts"] == {"delivered": 30, "failed": 1, "skipped": 0}
    assert len(folders.tree(output)) == 30


@pytest.mark.usefixtures("migrated")
def test_a_run_fails_whose_folder_is_not_there(
    pictures_dag: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path / "work"))
    run = pictures_dag.test(run_conf={"source": str(tmp_path / "nothing") + "/", "model": "bicubic"})
    assert run.state == "failed"
