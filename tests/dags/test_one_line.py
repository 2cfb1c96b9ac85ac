"""What Airflow's log says of a task that ends: one line of what the user caused, the whole stack of what we did."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from sr_tasks.errors import ChunkFailed, InputInvalid, SrError
from tests.dags.jobs import failing

ENDED = "Task failed with exception"
"""Airflow's words, written with the stack."""


@pytest.fixture
def entries() -> Iterator[list[dict[str, Any]]]:
    """What Airflow's logger writes, with processors of a list that is configured once, as in a task."""
    before, written = structlog.get_config(), []

    def write(_logger: Any, _method: str, entry: dict[str, Any]) -> str:
        written.append(dict(entry))
        raise structlog.DropEvent

    structlog.configure(processors=[write])
    yield written
    structlog.configure(**before)


def end_as_airflow_does(error: SrError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a task that raises it to its end, and log what it ends with in the way of Airflow's task runner."""
    from airflow.sdk.exceptions import AirflowFailException
    from sr_airflow import job

    log, seam = structlog.get_logger("task"), job.running_step

    class Runner:
        def __enter__(self) -> Any:
            self.inner = seam()
            return self.inner.__enter__()

        def __exit__(self, *raised: Any) -> bool:
            try:
                return bool(self.inner.__exit__(*raised))
            except AirflowFailException:
                assert sys.exc_info()[1] is not None
                log.exception(ENDED)
                raise

    monkeypatch.setattr(job, "running_step", Runner)
    assert failing(error).run() == "failed"


def test_of_bad_input_the_log_has_one_line_without_a_stack(
    entries: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    end_as_airflow_does(InputInvalid("a.mp4 is cut off.", hint="Send it again."), monkeypatch)
    assert entries == []
    (said,) = [record for record in caplog.records if record.name == "sr_airflow.job"]
    assert said.getMessage().startswith("INPUT_INVALID: a.mp4 is cut off. Send it again.")
    assert said.exc_info is None


def test_of_a_fault_of_ours_the_log_keeps_the_stack(
    entries: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_as_airflow_does(ChunkFailed("The runtime broke off."), monkeypatch)
    assert [entry["event"] for entry in entries] == [ENDED]
    assert entries[0]["exc_info"]
