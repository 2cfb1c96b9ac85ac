"""Runtime instruments sent to StatsD over UDP. Nothing here raises, waits for an answer or keeps state."""

import math
from dataclasses import dataclass
from typing import Literal

from loguru import logger
from statsd import StatsClient

from sr_tasks.config import Settings


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One row of the table of instruments; the name follows the deployment's prefix and a dot."""

    name: str
    kind: Literal["counter", "gauge", "timer"]
    unit: str
    help: str


INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(name="jobs.pending", kind="counter", unit="jobs", help="Jobs accepted."),
    Instrument(name="jobs.processing", kind="counter", unit="jobs", help="Jobs started."),
    Instrument(name="jobs.completed", kind="counter", unit="jobs", help="Jobs delivered."),
    Instrument(name="jobs.failed", kind="counter", unit="jobs", help="Jobs that ended without a delivery."),
    Instrument(name="frames", kind="counter", unit="frames", help="Frames upscaled."),
    Instrument(name="fps", kind="gauge", unit="frames/s", help="Speed of the chunk measured last."),
    Instrument(name="chunk_time", kind="timer", unit="ms", help="Time from a chunk's start to its commit."),
    Instrument(name="quality.psnr", kind="gauge", unit="dB", help="Mean PSNR of the last output against its source."),
    Instrument(name="quality.ssim", kind="gauge", unit="1", help="Mean SSIM of the last output against its source."),
    Instrument(name="retries", kind="counter", unit="tries", help="Steps tried again."),
    Instrument(name="cache.hits", kind="counter", unit="lookups", help="Prepared models found in the cache."),
    Instrument(name="cache.misses", kind="counter", unit="lookups", help="Prepared models that had to be made."),
)
"""Everything that is ever sent."""


class Instruments:
    """The instruments of one process; with no host in the settings every method does nothing.

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

    def job_changed(self, status: str) -> None:
        """`status` is PENDING, PROCESSING, COMPLETED or FAILED."""
        self._count(f"jobs.{status.lower()}", 1)

    def frames_done(self, count: int) -> None:
        self._count("frames", count)

    def speed_measured(self, fps: float) -> None:
        self._gauge("fps", fps)

    def chunk_committed(self, seconds: float) -> None:
        if self._client is not None and math.isfinite(seconds):
            self._client.timing("chunk_time", seconds * 1000)

    def quality_measured(self, psnr: float, ssim: float) -> None:
        """PSNR in dB, which may be infinite and is not sent then; SSIM from -1 to 1."""
        self._gauge("quality.psnr", psnr)
        self._gauge("quality.ssim", ssim)

    def retry_started(self) -> None:
        self._count("retries", 1)

    def cache_hit(self) -> None:
        self._count("cache.hits", 1)

    def cache_missed(self) -> None:
        self._count("cache.misses", 1)

    def close(self) -> None:
        """Free the socket. What is measured afterwards is not sent."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _count(self, name: str, count: int) -> None:
        if self._client is not None:
            self._client.incr(name, count)

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
