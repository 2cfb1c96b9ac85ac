"""One OpenTelemetry trace a job, sent over OTLP: the job, its wait, its steps and chunks. Observes; never breaks a job.

Each process sends its own spans. They meet in one trace, since its id and that of the job's span come from the job's.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.telemetry.redaction import redacted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span, TracerProvider

TIMEOUT_S = 2.0
"""How long a collector may take to accept one span, and so what a dead one can cost a process, once."""


class Traces:
    """The spans of one process; with no endpoint in the settings every method does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._endpoint = settings.otlp_endpoint.rstrip("/")

    @contextmanager
    def span(self, job_id: str, step: str, *, chunk: int | None = None, attempt: int = 1) -> Iterator[None]:
        """The span of one try of a step, or of one chunk of it, from now until the block ends or raises."""
        started = time.time()
        failure: tuple[str, str] | None = None
        try:
            yield
        except BaseException as exc:
            failure = (exc.code if isinstance(exc, SrError) else type(exc).__name__, str(exc))
            raise
        finally:
            attributes: dict[str, str | int] = {"sr.step": step, "sr.attempt": attempt}
            if chunk is not None:
                attributes["sr.chunk"] = chunk
            name = step if chunk is None else f"{step} chunk"
            self._record(job_id, name, started, time.time(), attributes, failure)

    def waited(self, job_id: str, *, accepted: float, started: float) -> None:
        """The span `queued`: from a job's acceptance to its first step, in seconds since 1970."""
        self._record(job_id, "queued", accepted, max(accepted, started), {}, None)

    def job_ended(self, job_id: str, *, accepted: float, status: str) -> None:
        """The span of the whole job, which all others belong to: from its acceptance to now."""
        failure = None if status == "COMPLETED" else ("", f"The job ended as {status}.")
        self._record(job_id, "job", accepted, time.time(), {"sr.status": status}, failure, is_whole_job=True)

    def _record(
        self, job_id: str, name: str, started: float, ended: float, attributes: dict[str, str | int],
        failure: tuple[str, str] | None, *, is_whole_job: bool = False,
    ) -> None:  # fmt: skip
        if not self._endpoint:
            return
        try:
            if not self._send(job_id, name, (started, ended), attributes, failure, is_whole_job=is_whole_job):
                self._give_up("it did not accept a span")
        except Exception as exc:
            self._give_up(str(exc))

    def _give_up(self, why: str) -> None:
        logger.warning("no more traces from this process to {}: {}", redacted(self._endpoint), redacted(why))
        self._endpoint = ""

    def _send(
        self, job_id: str, name: str, times: tuple[float, float], attributes: dict[str, str | int],
        failure: tuple[str, str] | None, *, is_whole_job: bool,
    ) -> bool:  # fmt: skip
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult

        exporter = OTLPSpanExporter(endpoint=f"{self._endpoint}/v1/traces", timeout=TIMEOUT_S)
        try:
            span = _span(job_id, name, times[0], is_whole_job=is_whole_job)
            span.set_attributes({"sr.job": job_id, **attributes})
            _set_status(span, failure)
            span.end(round(times[1] * 1e9))
            return exporter.export([span]) is SpanExportResult.SUCCESS
        finally:
            exporter.shutdown()  # type: ignore[no-untyped-call]


def trace_id(job_id: str) -> int:
    """The trace of a job: 128 bits, the same in every process and every run of the job."""
    return int.from_bytes(hashlib.sha256(f"trace:{job_id}".encode()).digest()[:16], "big")


def job_span_id(job_id: str) -> int:
    """The span of the whole job, 64 bits. The steps name it as their parent before it was sent."""
    return int.from_bytes(hashlib.sha256(f"job:{job_id}".encode()).digest()[:8], "big")


def _span(job_id: str, name: str, started: float, *, is_whole_job: bool) -> "Span":
    from opentelemetry import trace
    from opentelemetry.sdk.trace import Span

    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    whole = trace.SpanContext(trace_id(job_id), job_span_id(job_id), is_remote=True, trace_flags=flags)
    parent = None if is_whole_job else trace.set_span_in_context(trace.NonRecordingSpan(whole))
    tracer = _provider(job_id, is_whole_job=is_whole_job).get_tracer("sr_tasks")
    span = tracer.start_span(name, context=parent, start_time=round(started * 1e9))
    if not isinstance(span, Span):
        raise TypeError("OpenTelemetry is switched off by OTEL_SDK_DISABLED or its sampler")
    return span


def _provider(job_id: str, *, is_whole_job: bool) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class JobIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return trace_id(job_id)

        def generate_span_id(self) -> int:
            return job_span_id(job_id) if is_whole_job else super().generate_span_id()

    return TracerProvider(
        resource=Resource.create({"service.name": "video-sr"}),
        sampler=ALWAYS_ON,
        id_generator=JobIds(),
        shutdown_on_exit=False,
    )


def _set_status(span: "Span", failure: tuple[str, str] | None) -> None:
    """`failure` is a code, which may be empty, and a sentence."""
    from opentelemetry.trace import Status, StatusCode

    if failure is None:
        span.set_status(Status(StatusCode.OK))
        return
    code, sentence = failure
    if code:
        span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, redacted(sentence)))
