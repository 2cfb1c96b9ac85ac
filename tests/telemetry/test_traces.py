"""Traces as a collector gets them. The receiver is the tests' own: no collector program runs here."""

import dataclasses
import io
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.errors import ChunkFailed, InputNotFound
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from sr_tasks.telemetry.traces import Traces
from tests.clips import Clip, make
from tests.telemetry.collector import Collector, collecting, facts


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    # A busy machine may take longer than the two seconds after which a collector is given up.
    monkeypatch.setattr("sr_tasks.telemetry.traces.TIMEOUT_S", 120.0)
    with collecting() as listening:
        yield listening


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    sink = logger.add(lines, format="{level} {message}")
    yield lines
    logger.remove(sink)


def test_a_job_is_one_trace_of_its_steps_and_chunks(collector: Collector, tmp_path: Path) -> None:
    settings = Settings(
        workdir=tmp_path / "work", state_dir=tmp_path / "state", otlp_endpoint=collector.url, chunk_target_s=0.01,
        precision="fp32",
    )  # fmt: skip
    source = make(tmp_path / "clip.mp4", Clip(frames=60))
    before = time.time_ns()
    result = pipeline.run(JobSpec(source=str(source), model="bicubic"), "job-1", settings, Observers())
    spans = {span.name: span for span in collector.spans}
    chunks = [facts(span)["sr.chunk"] for span in collector.spans if span.name == "upscale chunk"]
    assert chunks == list(range(result["computed_chunks"]))
    assert spans.keys() >= {
        "job",
        "validate",
        "plan",
        "prepare_model",
        "assemble",
        "assess",
        "gate",
        "deliver",
        "report",
    }
    assert len({span.trace_id for span in collector.spans}) == 1
    job = spans["job"]
    assert job.parent_span_id == b""
    assert {span.parent_span_id for span in collector.spans if span.name != "job"} == {job.span_id}
    assert facts(job) == {"name": "job", "sr.job": "job-1", "sr.status": "COMPLETED"}
    for span in collector.spans:
        assert before <= job.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= job.end_time_unix_nano
        assert span.status.code == span.status.STATUS_CODE_OK
    assert collector.services == {"video-sr"}


def test_a_failure_says_its_code_and_no_secret(collector: Collector, tmp_path: Path) -> None:
    settings = Settings(workdir=tmp_path / "work", otlp_endpoint=collector.url)
    with pytest.raises(InputNotFound):
        pipeline.run(JobSpec(source=str(tmp_path / "gone.mp4"), model="bicubic"), "job-2", settings, Observers())
    validate, job = collector.spans
    assert facts(validate)["error.type"] == "INPUT_NOT_FOUND"
    assert "gone.mp4" in validate.status.message
    assert validate.status.code == job.status.code == job.status.STATUS_CODE_ERROR
    with pytest.raises(ChunkFailed), Traces(settings).span("job-2", "upscale"):
        raise ChunkFailed("No answer from https://user:hunter2@storage/x.")
    assert "hunter2" not in collector.spans[-1].status.message
    assert "storage" in collector.spans[-1].status.message


def _in_another_process(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sr_tasks.telemetry.traces.TIMEOUT_S", 120.0)
        with Traces(Settings(otlp_endpoint=url)).span("job-3", "upscale", chunk=7, attempt=2):
            pass


def test_spans_of_several_processes_meet_in_one_trace(collector: Collector) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_in_another_process, args=(collector.url,))
    process.start()
    traces = Traces(Settings(otlp_endpoint=collector.url))
    traces.waited("job-3", accepted=100.0, started=130.5)
    traces.job_ended("job-3", accepted=100.0, status="FAILED")
    traces.job_ended("job-4", accepted=100.0, status="COMPLETED")
    process.join()
    by_name = {(span.name, facts(span)["sr.job"]): span for span in collector.spans}
    chunk, queued = by_name["upscale chunk", "job-3"], by_name["queued", "job-3"]
    job, other = by_name["job", "job-3"], by_name["job", "job-4"]
    assert chunk.trace_id == queued.trace_id == job.trace_id != other.trace_id
    assert chunk.parent_span_id == queued.parent_span_id == job.span_id != other.span_id
    assert facts(chunk) | {"sr.attempt": 2, "sr.chunk": 7} == facts(chunk)
    assert queued.end_time_unix_nano - queued.start_time_unix_nano == 30_500_000_000


@pytest.mark.parametrize("ill", ["gone", "refuses", "hangs"])
def test_a_collector_that_is_ill_costs_one_warning_and_no_more_calls(
    collector: Collector, log: io.StringIO, ill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ill != "refuses":  # an answer may be late on a busy machine, and what does not come need not be waited for
        monkeypatch.setattr("sr_tasks.telemetry.traces.TIMEOUT_S", 0.2)
    settings = Settings(otlp_endpoint=collector.url)
    if ill == "gone":
        settings = dataclasses.replace(settings, otlp_endpoint="http://127.0.0.1:9")
    collector.answer = 400 if ill == "refuses" else 200
    if ill == "hangs":
        collector.hang()
    traces, done = Traces(settings), 0
    for _ in range(3):
        with traces.span("job-5", "plan"):
            done += 1
    assert done == 3
    assert log.getvalue().count("WARNING no more traces from this process") == 1
    assert collector.calls <= 1 + (ill == "hangs")  # one that timed out may have been tried again


def test_without_an_endpoint_opentelemetry_is_not_even_imported() -> None:
    program = """
import sys
from sr_tasks.config import Settings
from sr_tasks.telemetry.traces import Traces
traces = Traces(Settings())
with traces.span("job-6", "plan"):
    pass
traces.job_ended("job-6", accepted=0.0, status="COMPLETED")
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
