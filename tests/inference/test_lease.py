"""One GPU, one process: with real processes, locks and kills; the GPUs themselves are stand-ins."""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import DeviceBusy
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.lease import Holder, leased, leased_backend
from tests.inference.gpu_stand_in import gpu, installed

REPOSITORY = Path(__file__).resolve().parents[2]
A, B = "aaaaaaaa-0000-0000-0000-000000000000", "bbbbbbbb-0000-0000-0000-000000000000"
PATIENCE_S = 300.0
HOLDER = Holder(job="job-1", chunk=7)

_CHILD = """
import os, sys, time
from pathlib import Path
from sr_tasks.inference import lease
from tests.inference.gpu_stand_in import gpu

mode, folder, *uuids = sys.argv[1:]
gpus = [gpu(ordinal, uuid) for ordinal, uuid in enumerate(uuids)]
lease.POLL_S = 0.001
holder = lease.Holder(job=mode, chunk=None)
if mode == "hold":
    with lease.leased(gpus, Path(folder), holder, wait_s=600) as got:
        print(got.gpu.uuid, got.gpu.ordinal, flush=True)
        sys.stdin.read()
else:
    for _ in range(int(mode)):
        with lease.leased(gpus, Path(folder), holder, wait_s=600) as got:
            inside = Path(folder) / f"{got.gpu.uuid}.inside"
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            time.sleep(0.001)
            inside.unlink()
        print(got.gpu.uuid, flush=True)
"""


def child(mode: str, folder: Path, *uuids: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, mode, str(folder), *uuids],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def run(mode: str, folder: Path, *uuids: str) -> "subprocess.Popen[str]":
        started.append(child(mode, folder, *uuids))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextmanager
def held_elsewhere(folder: Path, uuid: str, text: str = "") -> Iterator[None]:
    """As another process would: by an open file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{uuid}.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(text)
        file.flush()
        yield


def test_no_two_processes_ever_have_the_same_gpu(start: Any, tmp_path: Path) -> None:
    # Each counts the GPUs the other way round, as CUDA may.
    processes = [start("100", tmp_path, *order) for order in ((A, B), (B, A), (A, B))]
    told = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [text.split().count(A) + text.split().count(B) for text in told] == [100, 100, 100]
    assert {A, B} == {uuid for text in told for uuid in text.split()}, "both are used"


def test_a_third_process_waits_and_has_the_gpu_of_the_one_that_is_killed(start: Any, tmp_path: Path) -> None:
    first, second = start("hold", tmp_path, A, B), None
    assert said(first) == f"{A} 0"
    second = start("hold", tmp_path, A, B)
    assert said(second) == f"{B} 1"
    third = start("hold", tmp_path, B, A)
    record = json.loads((tmp_path / f"{A}.lock").read_text())
    assert (record["job"], record["pid"], record["device"]) == ("hold", first.pid, "NVIDIA Test")
    assert third.poll() is None
    first.send_signal(signal.SIGKILL)
    assert said(third) == f"{A} 1", "by its own number, which is not that of the other"
    assert json.loads((tmp_path / f"{A}.lock").read_text())["pid"] == third.pid


def test_waiting_ends_with_a_code_and_tells_who_has_it(tmp_path: Path) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    entry = '{"job": "film", "chunk": 3, "pid": 12, "host": "one", "since": "2026-01-01T00:00:00+00:00"}'
    with held_elsewhere(tmp_path, A, entry), pytest.raises(DeviceBusy) as caught, leased(
        [gpu(uuid=A)], tmp_path, HOLDER, wait_s=0.5
    ):  # fmt: skip
        pass
    logger.remove(sink)
    assert (caught.value.code, caught.value.retryable) == ("DEVICE_BUSY", True)
    assert "job film, chunk 3 (process 12 on one" in caught.value.message
    assert "SR_GPU_WAIT_S" in caught.value.hint
    assert any("waiting for a GPU" in line and "job film, chunk 3" in line for line in lines)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": "film"}'])
def test_what_another_has_half_written_is_no_reason_to_fail(tmp_path: Path, text: str) -> None:
    with held_elsewhere(tmp_path, A, text), pytest.raises(DeviceBusy, match="has not signed yet"), leased(
        [gpu(uuid=A)], tmp_path, HOLDER, wait_s=0
    ):  # fmt: skip
        pass


def test_sessions_side_by_side_in_one_process_share_its_gpu_until_the_last_ends(tmp_path: Path) -> None:
    gpus = [gpu(0, A), gpu(1, B)]
    with leased(gpus, tmp_path, HOLDER, wait_s=0) as one:
        with leased(reversed(gpus), tmp_path, HOLDER, wait_s=0) as other:  # type: ignore[arg-type]
            assert other.gpu.uuid == one.gpu.uuid
        with pytest.raises(BlockingIOError), (tmp_path / f"{A}.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / f"{A}.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert file.read() == "", "nobody is named who has left"


def test_a_forked_process_has_no_part_in_the_lease_of_its_parent(tmp_path: Path) -> None:
    with leased([gpu(uuid=A)], tmp_path, HOLDER, wait_s=0):
        pid = os.fork()
        if not pid:
            try:
                with leased([gpu(uuid=A)], tmp_path, HOLDER, wait_s=0):
                    os._exit(1)
            except DeviceBusy:
                os._exit(0)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_step_computes_on_the_gpu_that_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = installed(monkeypatch, gpu(0, A), gpu(1, B))
    settings = Settings(workdir=tmp_path, gpu_wait_s=0)
    with held_elsewhere(tmp_path / "leases", A), leased_backend("cuda", settings, HOLDER) as device:
        assert device.gpu == gpu(1, B)
        assert json.loads((tmp_path / "leases" / f"{B}.lock").read_text())["chunk"] == 7
    assert runtime.devices() == {"1"}


def test_a_gpu_of_the_kind_that_the_model_was_prepared_for_is_taken_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(monkeypatch, gpu(0, A, name="Small"), gpu(1, B, name="Large"))
    with leased_backend("cuda", Settings(workdir=tmp_path), HOLDER, like="Large") as device:
        assert device.gpu is not None
        assert device.gpu.name == device.backend.device == "Large"


@pytest.mark.parametrize("name", ["openvino", "auto"])
def test_nothing_is_leased_for_a_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    runtime = installed(monkeypatch, gpu(uuid=A))
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    settings = Settings(workdir=tmp_path, gpu_wait_s=0)
    with held_elsewhere(tmp_path / "leases", A), leased_backend(name, settings, HOLDER) as device:
        assert (device.backend.name, device.gpu) == ("openvino", None)


def test_a_job_that_falls_back_to_the_cpu_keeps_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runtime = installed(monkeypatch, gpu(uuid=A))
    runtime.broken = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
    with leased_backend("auto", Settings(workdir=tmp_path), HOLDER) as device:
        assert (device.backend.name, device.gpu) == ("openvino", None)
        with held_elsewhere(tmp_path / "leases", A):
            pass


class FakeCuda:
    """The calls of the driver's library, for two GPUs of which one does not answer, in the order CUDA chose."""

    def __init__(self, *uuids: bytes) -> None:
        self.uuids = uuids

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return 0 if self.uuids else 100

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.uuids)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = 40 + ordinal
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA H200"
        return 0

    def cuDeviceGetUuid_v2(self, identity: Any, device: Any) -> int:  # noqa: N802
        ctypes.memmove(identity, self.uuids[device.value - 40], 16)
        return 999 if self.uuids[device.value - 40] == bytes(16) else 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        memory._obj.value = 139 << 30
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = {75: 9, 76: 0}[attribute]
        return 0

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 999


def test_the_driver_tells_who_a_gpu_is_under_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = bytes(range(16)), bytes(range(16, 32))
    for order in ((one, bytes(16), two), (two, one)):
        monkeypatch.setattr(ctypes, "CDLL", lambda name, order=order: FakeCuda(*order))
        found = {gpu.uuid: gpu for gpu in nvidia.visible()}
        # As NVIDIA's tools write it, and NVML takes it, behind `GPU-` or `MIG-`.
        assert found.keys() == {"00010203-0405-0607-0809-0a0b0c0d0e0f", "10111213-1415-1617-1819-1a1b1c1d1e1f"}
        assert {gpu.ordinal for gpu in found.values()} == {order.index(one), order.index(two)}
        assert found["00010203-0405-0607-0809-0a0b0c0d0e0f"].ordinal == order.index(one)
        assert {gpu.compute_capability for gpu in found.values()} == {"9.0"}


def test_a_process_that_may_use_no_gpu_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeCuda())
    assert nvidia.visible() == ()


@pytest.mark.gpu
@pytest.mark.skipif(not nvidia.visible(), reason="this CPU has no NVIDIA GPU beside it")
def test_a_process_that_is_shown_one_gpu_by_its_uuid_sees_that_one() -> None:
    last = nvidia.visible()[-1]
    script = "from sr_tasks.inference.backends import nvidia; print([gpu.uuid for gpu in nvidia.visible()])"
    for prefix in ("GPU-", "MIG-"):
        told = subprocess.run(
            [sys.executable, "-c", script],
            cwd=REPOSITORY,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": f"{prefix}{last.uuid}"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if told.strip() == f"['{last.uuid}']":
            return
    pytest.fail(f"{last.uuid} is not what the driver calls it")
