"""The trace of a job that Airflow runs: every try of every task is a span of it, from acceptance to the last task."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sr_tasks.errors import ChunkFailed, InputNotFound
from sr_tasks.telemetry.traces import job_span_id, trace_id
from tests.dags.fakes import FakeSteps
from tests.telemetry.collector import Collector, collecting, facts

RunDag = Callable[..., Any]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as listening:
        monkeypatch.setenv("SR_OTLP_ENDPOINT", listening.url)
        # A busy machine may take longer than the two seconds after which a collector is given up.
        monkeypatch.setattr("sr_tasks.telemetry.traces.TIMEOUT_S", 120.0)
        yield listening


def test_every_try_of_a_task_is_a_span_of_the_jobs_trace(
    steps: FakeSteps, run_dag: RunDag, collector: Collector
) -> None:
    steps.raises["plan"] = [ChunkFailed("The disk is slow.")]
    run = run_dag()
    assert {span.trace_id for span in collector.spans} == {trace_id(run.run_id).to_bytes(16, "big")}
    by_name = {span.name: span for span in collector.spans}
    tries = [facts(span) for span in collector.spans if span.name == "plan"]
    assert [found["sr.attempt"] for found in tries] == [1, 2]
    assert [found.get("error.type") for found in tries] == ["CHUNK_FAILED", None]
    chunks = sorted(facts(span)["sr.chunk"] for span in collector.spans if span.name == "upscale chunk")
    assert chunks == list(range(len(chunks)))
    assert chunks
    job = by_name["job"]
    assert job.span_id == job_span_id(run.run_id).to_bytes(8, "big")
    assert {span.parent_span_id for span in collector.spans if span is not job} == {job.span_id}
    assert facts(job)["sr.status"] == "COMPLETED"
    assert by_name["queued"].start_time_unix_nano == job.start_time_unix_nano
    assert {"validate", "assemble", "deliver", "report", "clean"} <= by_name.keys()


def test_the_trace_of_a_job_that_fails_says_so(steps: FakeSteps, run_dag: RunDag, collector: Collector) -> None:
    steps.raises["validate"] = [InputNotFound("There is no such file.")]
    run_dag()
    by_name = {span.name: span for span in collector.spans}
    assert facts(by_name["validate"])["error.type"] == "INPUT_NOT_FOUND"
    assert facts(by_name["job"])["sr.status"] == "FAILED"
    assert by_name["job"].status.code == by_name["job"].status.STATUS_CODE_ERROR


def test_a_job_that_fails_at_its_first_step_is_counted_with_its_code(
    steps: FakeSteps, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow runs no teardown of a setup that failed, so `clean` cannot tell it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(120)
        monkeypatch.setenv("SR_STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("SR_STATSD_PORT", str(server.getsockname()[1]))
        steps.raises["validate"] = [InputNotFound("There is no such file.")]
        run_dag()
        sent = [server.recv(1024).decode() for _ in range(3)]
    assert sent[0].startswith("sr.queue_time:")
    assert sorted(sent[1:]) == ["sr.failures.request.INPUT_NOT_FOUND:1|c", "sr.jobs.failed:1|c"]
