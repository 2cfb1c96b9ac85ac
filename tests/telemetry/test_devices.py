"""The load of GPUs and disk as packets on a socket. The driver is a stand-in, but for the test of a real GPU."""

import ctypes
import io
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.telemetry.devices import DeviceLoad, nvidia, watched


class Busy:
    """A machine with two GPUs, one of which is half full."""

    def loads(self) -> Sequence[DeviceLoad]:
        return (
            DeviceLoad(index=0, utilisation=0.75, memory_used=4 << 30, memory_total=8 << 30),
            DeviceLoad(index=1, utilisation=0.0, memory_used=0, memory_total=8 << 30),
        )


class Broken:
    def loads(self) -> Sequence[DeviceLoad]:
        raise OSError("the driver is gone")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


def settings(server: socket.socket, workdir: Path) -> Settings:
    return Settings(statsd_host="127.0.0.1", statsd_port=server.getsockname()[1], workdir=workdir)


def test_what_the_driver_says_is_sent_at_once_and_again_while_the_work_lasts(
    server: socket.socket, tmp_path: Path
) -> None:
    with watched(settings(server, tmp_path), Busy(), every_s=0.02):
        sent = [server.recv(1024).decode() for _ in range(14)]
    assert sent[1:7] == [
        "sr.device.0.utilisation:0.75|g",
        f"sr.device.0.memory_used:{4 << 30}|g",
        f"sr.device.0.memory_total:{8 << 30}|g",
        "sr.device.1.utilisation:0.0|g",
        "sr.device.1.memory_used:0|g",
        f"sr.device.1.memory_total:{8 << 30}|g",
    ]
    assert [line.split(":")[0] for line in sent].count("sr.disk_free") == 2
    assert 0 < float(sent[0].removeprefix("sr.disk_free:").removesuffix("|g")) <= 1


def test_a_driver_that_breaks_is_one_warning_and_the_work_goes_on(server: socket.socket, tmp_path: Path) -> None:
    lines = io.StringIO()
    sink = logger.add(lines, format="{level} {message}")
    with watched(settings(server, tmp_path), Broken(), every_s=0.01):
        time.sleep(0.1)
        done = True
    logger.remove(sink)
    assert done
    assert lines.getvalue().count("WARNING the load of the devices is not measured any more: the driver is gone") == 1


def test_without_statsd_nobody_is_asked(tmp_path: Path) -> None:
    asked: list[bool] = []

    class Counting:
        def loads(self) -> Sequence[DeviceLoad]:
            asked.append(True)
            return ()

    with watched(Settings(workdir=tmp_path), Counting(), every_s=0.01):
        time.sleep(0.1)
    assert not asked


class FakeNvml:
    """The calls of NVIDIA's library as its header declares them, with one GPU that answers and one that does not."""

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: N802
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: int, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 100 + index
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802
        ctypes.memmove(rates, struct.pack("=II", 37, 99), 8)
        return 0 if handle.value == 101 else 3

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        ctypes.memmove(memory, struct.pack("=QQQ", 8 << 30, 6 << 30, 2 << 30), 24)
        return 0


def test_the_drivers_answers_are_read_and_a_gpu_that_cannot_say_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeNvml())
    driver = nvidia()
    assert driver is not None
    assert driver.loads() == (DeviceLoad(index=1, utilisation=0.37, memory_used=2 << 30, memory_total=8 << 30),)


@pytest.mark.gpu
@pytest.mark.skipif(nvidia() is None, reason="this CPU has no NVIDIA GPU beside it")
def test_the_driver_of_this_machine_knows_its_memory() -> None:
    driver = nvidia()
    assert driver is not None
    assert driver.loads()
    for load in driver.loads():
        assert 0 <= load.utilisation <= 1
        assert 0 < load.memory_used < load.memory_total
