"""Instruments as real packets on a real socket, and silence where nobody listens."""

import io
import math
import re
import socket
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.telemetry.statsd import INSTRUMENTS, Instruments

LETTERS = {"counter": "c", "gauge": "g", "timer": "ms"}


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(120)
        yield listening


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    sink = logger.add(lines, format="{level} {message}")
    yield lines
    logger.remove(sink)


def settings(server: socket.socket) -> Settings:
    return Settings(statsd_host="127.0.0.1", statsd_port=server.getsockname()[1])


FACTS: list[tuple[Callable[[Instruments], None], list[str]]] = [
    (lambda to: to.job_changed("PENDING"), ["sr.jobs.pending:1|c"]),
    (lambda to: to.job_changed("PROCESSING"), ["sr.jobs.processing:1|c"]),
    (lambda to: to.job_changed("COMPLETED"), ["sr.jobs.completed:1|c"]),
    (lambda to: to.job_changed("FAILED"), ["sr.jobs.failed:1|c"]),
    (lambda to: to.job_failed("INPUT_NOT_FOUND"), ["sr.failures.request.INPUT_NOT_FOUND:1|c"]),
    (
        lambda to: to.queue_measured(queued=7, running=4, tasks_waiting=2),
        ["sr.queue.queued:7|g", "sr.queue.running:4|g", "sr.tasks_waiting:2|g"],
    ),
    (lambda to: to.job_waited(2), ["sr.queue_time:2000.000000|ms"]),
    (lambda to: to.job_took(60), ["sr.job_time:60000.000000|ms"]),
    (lambda to: to.step_done("assemble", 0.25), ["sr.step_time.assemble:250.000000|ms"]),
    (lambda to: to.device_leased(1.5), ["sr.lease_time:1500.000000|ms"]),
    (lambda to: to.frames_done(120), ["sr.frames:120|c"]),
    (lambda to: to.speed_measured(12.5), ["sr.fps:12.5|g"]),
    (lambda to: to.chunk_committed(1.5), ["sr.chunk_time:1500.000000|ms"]),
    (
        lambda to: to.quality_measured("compact@1.2", 41.5, 0.98),
        ["sr.quality.psnr.compact.1_2:41.5|g", "sr.quality.ssim.compact.1_2:0.98|g"],
    ),
    (lambda to: to.verdict_given("needs_review", "a:b|c@2"), ["sr.verdicts.needs_review.a_b_c.2:1|c"]),
    (
        lambda to: to.device_measured(1, utilisation=0.5, memory_used=10, memory_total=20),
        ["sr.device.1.utilisation:0.5|g", "sr.device.1.memory_used:10|g", "sr.device.1.memory_total:20|g"],
    ),
    (lambda to: to.disk_measured(0.25), ["sr.disk_free:0.25|g"]),
    (
        lambda to: to.job_charged(device_s=90.5, output_s=60, cost=0.75),
        ["sr.device_seconds:90.5|c", "sr.output_seconds:60|c", "sr.cost:0.75|c"],
    ),
    (lambda to: to.retry_started(), ["sr.retries:1|c"]),
    (lambda to: to.retry_caused("CHUNK_FAILED"), ["sr.retry_causes.CHUNK_FAILED:1|c"]),
    (lambda to: to.cache_hit(), ["sr.cache.hits:1|c"]),
    (lambda to: to.cache_missed(), ["sr.cache.misses:1|c"]),
    (lambda to: to.deadline_missed(), ["sr.deadlines.missed:1|c"]),
    (lambda to: to.release_promoted(), ["sr.releases.promoted:1|c"]),
    (lambda to: to.release_rolled_back(), ["sr.releases.rolled_back:1|c"]),
]


def test_every_fact_is_one_packet_and_the_table_lists_them_all(server: socket.socket) -> None:
    instruments, rows = Instruments(settings(server)), set()
    for tell, packets in FACTS:
        tell(instruments)
        for packet in packets:
            got = server.recv(1024).decode()
            assert got == packet
            name, _, letter = got.removeprefix("sr.").replace("|", ":").split(":")
            (row,) = (row for row in INSTRUMENTS if re.fullmatch(re.sub(r"<\w+>", "[^.]+", re.escape(row.name)), name))
            assert letter == LETTERS[row.kind]
            rows.add(row.name)
    assert rows == {row.name for row in INSTRUMENTS}
    assert all(row.help.endswith(".") and row.unit for row in INSTRUMENTS)


def test_what_is_no_number_is_not_sent(server: socket.socket) -> None:
    instruments = Instruments(settings(server))
    instruments.quality_measured("m@1", math.inf, math.nan)
    instruments.speed_measured(math.nan)
    instruments.chunk_committed(math.inf)
    instruments.quality_measured("m@1", math.inf, -0.5)
    assert server.recv(1024).decode() == "sr.quality.ssim.m.1:0|g\nsr.quality.ssim.m.1:-0.5|g"


def test_without_a_host_and_after_closing_nothing_happens(server: socket.socket, log: io.StringIO) -> None:
    closed = Instruments(settings(server))
    closed.close()
    closed.close()
    for instruments in (Instruments(Settings()), closed):
        for tell, _ in FACTS:
            tell(instruments)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(1024)
    assert log.getvalue() == ""


def test_a_host_that_is_unknown_is_one_warning(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:  # a name server that answers for every name would know it
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    instruments = Instruments(Settings(statsd_host="statsd.invalid"))
    for tell, _ in FACTS:
        tell(instruments)
    assert log.getvalue().count("WARNING") == 1
    assert "statsd.invalid" in log.getvalue()


def test_packets_that_cannot_be_sent_are_one_warning(log: io.StringIO) -> None:
    # A broadcast address needs a permission that the socket does not ask for.
    instruments = Instruments(Settings(statsd_host="255.255.255.255"))
    for tell, _ in FACTS:
        tell(instruments)
    assert log.getvalue().count("WARNING") == 1
    assert "metrics are lost" in log.getvalue()


def test_nobody_listening_is_no_error(log: io.StringIO) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        port = gone.getsockname()[1]
    instruments = Instruments(Settings(statsd_host="127.0.0.1", statsd_port=port))
    for tell, _ in FACTS * 3:
        tell(instruments)
    assert log.getvalue() == ""
