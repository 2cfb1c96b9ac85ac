"""Runtime instruments sent to StatsD over UDP. Nothing here raises, waits for an answer or keeps state."""

import math
import re
from dataclasses import dataclass
from typing import Literal, Self

from loguru import logger
from statsd import StatsClient

from sr_tasks.config import Settings
from sr_tasks.telemetry.faults import fault_of, known_codes


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One row of the table of instruments; the name follows the deployment's prefix and a dot.

    StatsD has no labels: a part in `<>` stands where a value goes, and `docker/monitoring/statsd_mapping.yaml` makes a
    label of it. Only what is few goes there: never a job, a file or a tenant.
    """

    name: str
    kind: Literal["counter", "gauge", "timer"]
    unit: str
    help: str


def _row(name: str, kind: Literal["counter", "gauge", "timer"], unit: str, text: str) -> Instrument:
    return Instrument(name=name, kind=kind, unit=unit, help=text)


INSTRUMENTS: tuple[Instrument, ...] = (
    _row("jobs.<status>", "counter", "jobs", "Jobs accepted, started, delivered, and ended without a delivery."),
    _row("failures.<fault>.<code>", "counter", "jobs", "Failed jobs by whose fault it was and the error's code."),
    _row("queue.<state>", "gauge", "jobs", "Jobs that wait and jobs that run."),
    _row("tasks_waiting", "gauge", "tasks", "Tasks of jobs that wait for a slot of a pool or for a worker."),
    _row("queue_time", "timer", "ms", "Time from a job's acceptance to its first step."),
    _row("job_time", "timer", "ms", "Time from a job's acceptance to its delivery."),
    _row("step_time.<step>", "timer", "ms", "Time of a step that succeeded."),
    _row("chunk_time", "timer", "ms", "Time from a chunk's start to its commit."),
    _row("lease_time", "timer", "ms", "Time that a step waited for a GPU of its own."),
    _row("frames", "counter", "frames", "Frames upscaled."),
    _row("fps", "gauge", "frames/s", "Speed of the chunk measured last."),
    _row("retries", "counter", "tries", "Steps tried again."),
    _row("retry_causes.<code>", "counter", "tries", "The same by the error's code; a try that was killed leaves none."),
    _row("cache.hits", "counter", "lookups", "Prepared models found in the cache."),
    _row("cache.misses", "counter", "lookups", "Prepared models that had to be made."),
    _row("quality.psnr.<model>.<version>", "gauge", "dB", "Mean PSNR of the last output against its source."),
    _row("quality.ssim.<model>.<version>", "gauge", "1", "Mean SSIM of the last output against its source."),
    _row("verdicts.<decision>.<model>.<version>", "counter", "jobs", "Decisions of the gate."),
    _row("device.<index>.utilisation", "gauge", "1", "Share of the last moments in which the GPU computed."),
    _row("device.<index>.memory_used", "gauge", "bytes", "Memory of the GPU in use, by whomever."),
    _row("device.<index>.memory_total", "gauge", "bytes", "Memory that the GPU has."),
    _row("disk_free", "gauge", "1", "Free share of the disk that scratch lies on."),
    _row("device_seconds", "counter", "s", "Device time of delivered jobs."),
    _row("output_seconds", "counter", "s", "Playing time of delivered outputs."),
    _row("cost", "counter", "currency", "Device time of delivered jobs times its price, SR_DEVICE_HOUR_COST."),
    _row("deadlines.missed", "counter", "jobs", "Jobs that were not done by their deadline."),
    _row("releases.promoted", "counter", "versions", "Candidates that became production."),
    _row("releases.rolled_back", "counter", "versions", "Candidates that were taken back."),
)
"""Everything that is ever sent."""


class Instruments:
    """The instruments of one process, closed at the end of a `with` block. With no host in the settings every method
    does nothing.

    The host is looked up once, here. If that or a packet fails, one warning is logged and the work goes on.
    """

    def __init__(self, settings: Settings) -> None:
        self._client: _Client | None = None
        if not settings.statsd_host:
            return
        try:
            self._client = _Client(settings.statsd_host, settings.statsd_port, prefix=settings.statsd_prefix or None)
        except (OSError, OverflowError, UnicodeError) as exc:
            logger.warning("no StatsD at {}:{}: {}", settings.statsd_host, settings.statsd_port, exc)

    def begin(self) -> None:
        """Send a zero of every counter whose labels are known: of a new one Prometheus misses the first step."""
        statuses = ("pending", "processing", "completed", "failed")
        names = [row.name for row in INSTRUMENTS if row.kind == "counter" and "<" not in row.name]
        names += [f"jobs.{status}" for status in statuses]
        names += [f"failures.{fault_of(code)}.{code}" for code in known_codes()]
        for name in names:
            self._count(name, 0)

    def job_changed(self, status: str) -> None:
        """`status` is PENDING, PROCESSING, COMPLETED or FAILED."""
        self._count(f"jobs.{status.lower()}", 1)

    def frames_done(self, count: int) -> None:
        self._count("frames", count)

    def speed_measured(self, fps: float) -> None:
        self._gauge("fps", fps)

    def chunk_committed(self, seconds: float) -> None:
        self._time("chunk_time", seconds)

    def device_leased(self, waited_s: float) -> None:
        """A step has a GPU of its own, for which it waited."""
        self._time("lease_time", waited_s)

    def step_done(self, step: str, seconds: float) -> None:
        self._time(f"step_time.{_part(step)}", seconds)

    def job_waited(self, seconds: float) -> None:
        """From a job's acceptance to its first step."""
        self._time("queue_time", seconds)

    def job_took(self, seconds: float) -> None:
        """From a job's acceptance to its delivery."""
        self._time("job_time", seconds)

    def job_failed(self, code: str) -> None:
        """Why a job failed: the code of its error. Sent beside `job_changed`."""
        self._count(f"failures.{fault_of(code)}.{_part(code)}", 1)

    def queue_measured(self, *, queued: int, running: int, tasks_waiting: int) -> None:
        """Jobs that wait and jobs that run, and tasks that could run but have no slot or no worker."""
        self._gauge("queue.queued", queued)
        self._gauge("queue.running", running)
        self._gauge("tasks_waiting", tasks_waiting)

    def quality_measured(self, model: str, psnr: float, ssim: float) -> None:
        """`model` is name@version. PSNR in dB, which may be infinite and is not sent then; SSIM from -1 to 1."""
        self._gauge(f"quality.psnr.{_model(model)}", psnr)
        self._gauge(f"quality.ssim.{_model(model)}", ssim)

    def verdict_given(self, decision: str, model: str) -> None:
        """What the gate said of an output of `model`, which is name@version."""
        self._count(f"verdicts.{_part(decision)}.{_model(model)}", 1)

    def device_measured(self, index: int, *, utilisation: float, memory_used: int, memory_total: int) -> None:
        """`utilisation` from 0 to 1, memory in bytes."""
        self._gauge(f"device.{index}.utilisation", utilisation)
        self._gauge(f"device.{index}.memory_used", memory_used)
        self._gauge(f"device.{index}.memory_total", memory_total)

    def disk_measured(self, free_share: float) -> None:
        self._gauge("disk_free", free_share)

    def job_charged(self, *, device_s: float, output_s: float, cost: float) -> None:
        """What a delivered job took of a device, how long its output plays, and what that cost."""
        self._count("device_seconds", device_s)
        self._count("output_seconds", output_s)
        self._count("cost", cost)

    def deadline_missed(self) -> None:
        self._count("deadlines.missed", 1)

    def retry_started(self) -> None:
        self._count("retries", 1)

    def retry_caused(self, code: str) -> None:
        """A try failed with this error and there will be another."""
        self._count(f"retry_causes.{_part(code)}", 1)

    def cache_hit(self) -> None:
        self._count("cache.hits", 1)

    def cache_missed(self) -> None:
        self._count("cache.misses", 1)

    def release_promoted(self) -> None:
        self._count("releases.promoted", 1)

    def release_rolled_back(self) -> None:
        self._count("releases.rolled_back", 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the socket. What is measured afterwards is not sent."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _count(self, name: str, count: float) -> None:
        if self._client is not None and math.isfinite(count):
            self._client.incr(name, count)

    def _time(self, name: str, seconds: float) -> None:
        if self._client is not None and math.isfinite(seconds):
            self._client.timing(name, max(seconds, 0.0) * 1000)

    def _gauge(self, name: str, value: float) -> None:
        if self._client is not None and math.isfinite(value):
            self._client.gauge(name, value)


class _Client(StatsClient):  # type: ignore[misc]
    """The package's client drops what cannot be sent without a word; this one says so, once."""

    _has_warned = False

    def _send(self, data: str) -> None:
        try:
            self._sock.sendto(data.encode("ascii", "replace"), self._addr)
        except (OSError, RuntimeError) as exc:
            if not self._has_warned:
                self._has_warned = True
                logger.warning("StatsD at {} cannot be reached, so metrics are lost: {}", self._addr, exc)


def _part(value: str) -> str:
    """A value as one part of a name: dots part the parts, and colons, bars and at signs have a meaning in StatsD."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", value) or "none"


def _model(label: str) -> str:
    name, _, version = label.partition("@")
    return f"{_part(name)}.{_part(version)}"
