"""The Dag as it runs: what is tried again, what is not, what the steps get, and how a run ends."""

import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from sr_tasks.errors import ChunkFailed, InputNotFound, QualityRefused
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from tests.dags.fakes import STEPS, FakeSteps

RunDag = Callable[..., Any]
_LINE = [*STEPS[:3], "upscale", "upscale", "upscale", *STEPS[4:]]


def _states(run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


def _error(workdir: Path, job_id: str) -> dict[str, Any]:
    return dict(json.loads((JobFolder(workdir, job_id).path / "error.json").read_text()))


def test_a_job_runs_its_steps_in_order_on_the_request_and_the_runs_id(steps: FakeSteps, run_dag: RunDag) -> None:
    run = run_dag(scale=4)
    assert run.state == "success"
    assert steps.names() == _LINE
    (spec, job_id, _settings), first = steps.calls[0][1], steps.calls[3][1]
    assert spec == JobSpec(source="/media/clip.mp4", scale=4)
    assert job_id == run.run_id
    assert sorted(call[1][1] for call in steps.calls[3:6]) == [0, 1, 2]
    assert first[0] == run.run_id
    assert steps.calls[-1][1][-1] is False, "a completed job is cleaned as one that did not fail"


def test_a_refused_quality_fails_the_run_delivers_nothing_and_keeps_what_a_resume_needs(
    steps: FakeSteps, run_dag: RunDag, tmp_path: Path
) -> None:
    steps.raises["gate"] = [QualityRefused("Frame 12 is 3 dB below the limit.", hint="See the report.")]
    run = run_dag()
    assert run.state == "failed"
    assert steps.names() == [*_LINE[: _LINE.index("deliver")], "clean"]
    assert steps.calls[-1][1][-1] is True
    error = _error(tmp_path, run.run_id)
    assert (error["code"], error["retryable"], error["step"]) == ("QUALITY_REFUSED", False, "gate")
    assert (error["message"], error["hint"]) == ("Frame 12 is 3 dB below the limit.", "See the report.")


def test_what_no_retry_can_help_is_tried_once(
    steps: FakeSteps, run_dag: RunDag, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps.raises["validate"] = [InputNotFound("There is no /media/clip.mp4.", hint="Check the path.")] * 9
    with caplog.at_level(logging.ERROR):
        run = run_dag()
    assert run.state == "failed"
    assert steps.names() == ["validate"]
    error = _error(tmp_path, run.run_id)
    assert error["code"] == "INPUT_NOT_FOUND"
    said = f"INPUT_NOT_FOUND: There is no /media/clip.mp4. Check the path. (cause {error['fingerprint']})"
    assert said in caplog.messages


def test_a_transient_error_is_tried_again_and_leaves_no_error_behind(
    steps: FakeSteps, run_dag: RunDag, tmp_path: Path
) -> None:
    steps.raises["upscale"] = [ChunkFailed("The encoder broke off.")] * 2
    run = run_dag()
    assert run.state == "success"
    assert steps.names().count("upscale") == 5
    assert not JobFolder(tmp_path, run.run_id).has("error")


def test_a_transient_error_that_stays_is_tried_four_times(steps: FakeSteps, run_dag: RunDag, tmp_path: Path) -> None:
    steps.raises["assemble"] = [ChunkFailed("The disk is slow.")] * 9
    run = run_dag()
    assert run.state == "failed"
    assert steps.names().count("assemble") == 4
    assert _error(tmp_path, run.run_id)["code"] == "CHUNK_FAILED"


def test_an_unexpected_error_is_tried_twice_and_told_as_a_defect(
    steps: FakeSteps, run_dag: RunDag, tmp_path: Path
) -> None:
    steps.raises["assess"] = [ZeroDivisionError("division by zero")] * 9
    run = run_dag()
    assert run.state == "failed"
    assert steps.names().count("assess") == 2
    error = _error(tmp_path, run.run_id)
    assert error["code"] == "INTERNAL"
    assert "ZeroDivisionError" in error["message"]


def test_a_request_with_an_unknown_field_fails_by_its_name(steps: FakeSteps, run_dag: RunDag, tmp_path: Path) -> None:
    run = run_dag(colour="blue")
    assert run.state == "failed"
    assert steps.names() == []
    assert "colour='blue'" in _error(tmp_path, run.run_id)["message"]


def test_a_job_that_somebody_stopped_is_a_failed_run(steps: FakeSteps, run_dag: RunDag) -> None:
    """Airflow skips what had not begun, and would call a run of skipped tasks a success."""
    steps.raises["assess"] = [AirflowSkipException("as if marked by hand")]
    run = run_dag()
    assert _states(run)["report"] == "skipped"
    assert run.state == "failed"
    assert steps.calls[-1][1][-1] is True


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[str]]]:
    """Gives what has arrived at a StatsD port since the last call, once it is as many packets as are named."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("SR_STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("SR_STATSD_PORT", str(server.getsockname()[1]))

        def received(least: int) -> list[str]:
            server.settimeout(120)
            packets = [server.recv(4096).decode() for _ in range(least)]
            server.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    packets.append(server.recv(4096).decode())
            return packets

        yield received


def test_the_end_of_a_job_and_its_retries_are_counted_once(
    steps: FakeSteps, run_dag: RunDag, statsd: Callable[[int], list[str]]
) -> None:
    steps.raises["plan"] = [ChunkFailed("The disk is slow.")]
    run_dag()
    sent = statsd(5)
    assert [line for line in sent if line.endswith("|c")] == [
        "sr.retry_causes.CHUNK_FAILED:1|c",
        "sr.retries:1|c",
        "sr.jobs.completed:1|c",
    ]
    assert [line.split(":")[0] for line in sent if line.endswith("|ms")] == ["sr.queue_time", "sr.job_time"]


def test_only_jobs_are_counted(statsd: Callable[[int], list[str]]) -> None:
    from sr_plugin import JobListener

    listener = JobListener()
    for dag_id in ("upscale_video", "something_else"):
        run = SimpleNamespace(dag_id=dag_id)
        listener.on_dag_run_running(run, msg="")
        listener.on_dag_run_failed(run, msg="")
    assert statsd(2) == ["sr.jobs.processing:1|c", "sr.jobs.failed:1|c"]
