"""The load of GPUs and disk as packets on a socket. The driver is a stand-in, but for the test of a real GPU."""

import ctypes
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.inference.backends.nvidia import visible
from sr_tasks.telemetry.devices import DeviceLoad, nvidia, watched

UUID = "00010203-0405-0607-0809-0a0b0c0d0e0f"


class Busy:
    """A machine whose second GPU is half full."""

    def load(self, uuid: str) -> DeviceLoad | None:
        assert uuid == UUID
        return DeviceLoad(index=1, utilisation=0.75, memory_used=4 << 30, memory_total=8 << 30)


class Broken:
    def load(self, uuid: str) -> DeviceLoad | None:
        raise OSError("the driver is gone")


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(120)
        yield listening


def settings(server: socket.socket, workdir: Path) -> Settings:
    return Settings(statsd_host="127.0.0.1", statsd_port=server.getsockname()[1], workdir=workdir)


def test_what_the_driver_says_is_sent_at_once_and_again_while_the_work_lasts(
    server: socket.socket, tmp_path: Path
) -> None:
    with watched(settings(server, tmp_path), UUID, Busy(), every_s=0.02):
        sent = [server.recv(1024).decode() for _ in range(8)]
    assert sent[1:4] == [
        "sr.device.1.utilisation:0.75|g",
        f"sr.device.1.memory_used:{4 << 30}|g",
        f"sr.device.1.memory_total:{8 << 30}|g",
    ]
    assert [line.split(":")[0] for line in sent].count("sr.disk_free") == 2
    assert 0 < float(sent[0].removeprefix("sr.disk_free:").removesuffix("|g")) <= 1


def test_of_work_on_a_cpu_only_the_disk_is_told(server: socket.socket, tmp_path: Path) -> None:
    with watched(settings(server, tmp_path), None, Busy(), every_s=0.02):
        sent = [server.recv(1024).decode() for _ in range(3)]
    assert {line.split(":")[0] for line in sent} == {"sr.disk_free"}


def test_a_driver_that_breaks_is_one_warning_and_the_work_goes_on(server: socket.socket, tmp_path: Path) -> None:
    lines: list[str] = []
    warned = threading.Event()

    def take(message: str) -> None:
        lines.append(message)
        warned.set()

    sink = logger.add(take, format="{level} {message}")
    with watched(settings(server, tmp_path), UUID, Broken(), every_s=0.01):
        assert warned.wait(120)
        time.sleep(0.1)  # for a second warning, if there were one
        done = True
    logger.remove(sink)
    assert done
    (line,) = lines
    assert line.startswith("WARNING the load of the devices is not measured any more: the driver is gone")


def test_without_statsd_nobody_is_asked(tmp_path: Path) -> None:
    asked: list[bool] = []

    class Counting:
        def load(self, uuid: str) -> DeviceLoad | None:
            asked.append(True)
            return None

    with watched(Settings(workdir=tmp_path), UUID, Counting(), every_s=0.01):
        time.sleep(0.1)
    assert not asked


class FakeNvml:
    """The calls of NVIDIA's library as its header declares them, with one GPU that answers and one that does not."""

    gpus = (b"GPU-ffffffff-0405-0607-0809-0a0b0c0d0e0f", f"GPU-{UUID}".encode())

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:  # noqa: N802
        if uuid not in self.gpus:
            return 6
        handle._obj.value = 100 + self.gpus.index(uuid)
        return 0

    def nvmlDeviceGetIndex(self, handle: Any, index: Any) -> int:  # noqa: N802
        index._obj.value = handle.value - 100
        return 0

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: N802
        ctypes.memmove(rates, struct.pack("=II", 37, 99), 8)
        return 0 if handle.value == 101 else 3

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        ctypes.memmove(memory, struct.pack("=QQQ", 8 << 30, 6 << 30, 2 << 30), 24)
        return 0


def test_the_drivers_answer_for_one_gpu_is_read_and_one_that_cannot_say_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeNvml())
    driver = nvidia()
    assert driver is not None
    assert driver.load(UUID) == DeviceLoad(index=1, utilisation=0.37, memory_used=2 << 30, memory_total=8 << 30)
    assert driver.load("ffffffff-0405-0607-0809-0a0b0c0d0e0f") is None
    assert driver.load("another") is None


@pytest.mark.gpu
@pytest.mark.skipif(nvidia() is None, reason="this CPU has no NVIDIA GPU beside it")
def test_the_driver_of_this_machine_knows_the_load_of_the_gpu_that_cuda_shows() -> None:
    driver = nvidia()
    assert driver is not None
    for gpu in visible():
        load = driver.load(gpu.uuid)
        assert load is not None
        assert 0 <= load.utilisation <= 1
        assert 0 < load.memory_used < load.memory_total
