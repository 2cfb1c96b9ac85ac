"""Alerts, deadlines and priorities on a running Airflow: its scheduler, Dag processor and executor, and a webhook."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sr_embedded import state

from tests import clips
from tests.airflow.test_embedded import Launcher
from tests.dags.receivers import Webhook

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    server = Webhook()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[Launcher]:
    """An Airflow whose jobs of high priority are late after a second, and that tells a webhook."""
    folder = tmp_path_factory.mktemp("alerts")
    launcher = Launcher(folder)
    launcher.env |= {
        "SR_STATE_DIR": str(folder / "state"),
        "SR_ALERT_SLACK": "slack_alerts",
        "SR_DEADLINE_HIGH_MINUTES": "0.02",
        "AIRFLOW_CONN_SLACK_ALERTS": webhook.connection,
    }
    done = launcher.run("up")
    try:
        assert done.returncode == 0, done.stderr
        yield launcher
    finally:
        launcher.run("down")


def _until(told: Callable[[], Any], timeout_s: float = 600.0) -> Any:
    end = time.monotonic() + timeout_s
    while not (found := told()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.3)
    return found


def client_log(stack: Launcher, job_id: str, task_id: str) -> str:
    """The log of the first try of the first chunk."""
    return json.dumps(stack.ask("GET", f"dagRuns/{job_id}/taskInstances/{task_id}/logs/1?map_index=0"))


def test_another_dag_that_fails_is_told_with_the_page_of_its_log(stack: Launcher, webhook: Webhook) -> None:
    before = len(webhook.texts)
    run = {"dag_run_id": "again-1", "logical_date": None, "conf": {"retry": "s3://nowhere/in/"}}
    stack.ask("POST", "dagRuns", dag_id="on_upload", json=run)
    (text,) = _until(lambda: webhook.texts[before:])
    known = state.load(stack.home)
    assert known is not None
    assert text.startswith("*A Dag failed: on_upload* `USAGE`")
    assert "'s3://nowhere/in/' is no prefix below a watched one." in text
    assert f"<{known.url}/dags/on_upload/runs/again-1/tasks/retry|Log>" in text


def test_a_failed_job_is_told_once_from_the_dag_processor_with_a_link_to_its_page(
    stack: Launcher, webhook: Webhook, tmp_path: Path
) -> None:
    source, output = clips.make(tmp_path / "clip.mp4", frames=5), tmp_path / "there.mp4"
    output.write_bytes(b"mine")
    before = len(webhook.texts)
    client = stack.client()
    client.trigger("job-refused", {"source": str(source), "output": str(output)})
    known = state.load(stack.home)
    assert known is not None
    (text,) = _until(lambda: webhook.texts[before:])
    assert text.startswith("*Job failed* `TARGET_EXISTS`")
    assert str(output) in text
    assert f"<{known.url}/dags/upscale_video/runs/job-refused/tasks/validate|Log>" in text
    assert client.run_state("job-refused") == "failed"


def test_a_late_job_is_told_once_goes_on_and_is_told_again_once_delivered(
    stack: Launcher, webhook: Webhook, tmp_path: Path
) -> None:
    client, source = stack.client(), clips.make(tmp_path / "clip.mp4", frames=5)
    before = len(webhook.texts)
    for name, priority in (("job-high", "high"), ("job-low", "low")):
        output = str(tmp_path / f"{name}.mp4")
        client.trigger(name, {"source": str(source), "output": output, "priority": priority})
    _until(lambda: len(webhook.texts) == before + 2)
    late, delivered = webhook.texts[before:]
    assert late.startswith("*Deadline missed* `DEADLINE_MISSED` · job-high")
    assert delivered.startswith("*Delivered after all* · job-high")
    assert re.search(r"It was due at [0-9: -]+ UTC and came \d+ (s|min|min \d+ s) late\.", delivered)
    log = client_log(stack, "job-high", "upscale")
    assert re.search(r"The time limit of this try is \d+ min \(it was estimated to take [\d.]+ s\)\.", log)
    _until(lambda: client.run_state("job-low") == "success")
    weights = {name: {task["priority_weight"] for task in client.tasks(name)} for name in ("job-high", "job-low")}
    assert all(len(found) == 1 for found in weights.values()), "all tasks of a job, the mapped ones too, go alike"
    assert weights["job-high"].pop() - weights["job-low"].pop() in (16 * 60, 16 * 60 + 1)
    assert len(webhook.texts) == before + 2, "the other job has no deadline"
    ledger = Path(stack.env["SR_STATE_DIR"]) / "alerts/ledger.json"
    _until(lambda: json.loads(ledger.read_text())["outbox"] == [])  # who sent a message settles it a moment later
