"""A whole job on a machine with two GPUs, of which another process has one. The GPUs are stand-ins, the lock is not."""

import dataclasses
import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.inference.backends import onnxruntime_gpu
from tests.clips import Clip, make
from tests.inference.gpu_stand_in import gpu, installed
from tests.steps.conftest import Enhance

MINE, OTHERS = "bbbbbbbb-0000-0000-0000-000000000000", "aaaaaaaa-0000-0000-0000-000000000000"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, backend="cuda", gpu_wait_s=60.0)


def test_a_whole_job_stays_off_the_gpu_of_another(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, enhance: Enhance, tmp_path: Path
) -> None:
    runtime = installed(monkeypatch, gpu(0, OTHERS), gpu(1, MINE))
    leases = settings.workdir / "leases"
    leases.mkdir(parents=True)
    while_open: list[str] = []
    opened = onnxruntime_gpu.CudaBackend.open

    def noted(*args: Any, **options: Any) -> Any:
        while_open.append((leases / f"{MINE}.lock").read_text())
        return opened(*args, **options)

    monkeypatch.setattr(onnxruntime_gpu.CudaBackend, "open", noted)
    with (leases / f"{OTHERS}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        enhance(make(tmp_path / "clip.mkv", Clip(frames=6, width=64, height=48)), model="compact-x2")
    assert runtime.devices() == {"1"}
    assert set(runtime.buffers_on) == {1}
    assert {json.loads(text)["chunk"] for text in while_open} == {None, 0}, "to prepare, and for the chunk"
    assert (leases / f"{MINE}.lock").read_text() == ""
