"""What a task may take: it is limited, ends in an error of its own if it wants more, and leaves no limit behind."""

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sr_airflow.limits import limited

from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, InputInvalid, UsageError
from sr_tasks.inference.backends import nvidia
from sr_tasks.inference.machine import memory_bytes
from sr_tasks.jobs.folder import JobFolder
from tests.clips import make
from tests.dags.fakes import FakeSteps
from tests.dags.test_runs import RunDag

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = (resource.RLIMIT_DATA, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)


def soft() -> tuple[int, ...]:
    return tuple(resource.getrlimit(which)[0] for which in KINDS)


def test_every_step_of_a_job_runs_within_limits_and_none_stays(
    steps: FakeSteps, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = soft(), []
    monkeypatch.setenv("SR_MAX_TASK_BYTES", str(6 << 30))
    for name in ("validate", "upscale", "assess"):
        step = getattr(sys.modules["sr_tasks.steps"], name)

        def run(*arguments: Any, _run: Any = step.run, **named: Any) -> Any:
            seen.append(soft())
            return _run(*arguments, **named)

        monkeypatch.setattr(sys.modules["sr_tasks.steps"], name, SimpleNamespace(run=run))
    assert run_dag().state == "success"
    assert len(seen) == 5
    assert {data for data, _, _ in seen} == {6 << 30}
    assert {core for _, core, _ in seen} == {0}
    assert all(0 < files <= 4096 for _, _, files in seen)
    assert soft() == before


def test_a_task_that_wants_more_memory_fails_at_once_with_a_code_and_what_to_do(
    steps: FakeSteps, run_dag: RunDag, tmp_path: Path
) -> None:
    steps.raises["upscale"] = [MemoryError()] * 9
    run = run_dag()
    assert run.state == "failed"
    assert steps.names().count("upscale") == 3, "once a chunk"
    error = JobFolder(tmp_path, run.run_id).load_json("error")
    assert (error["code"], error["retryable"], error["step"]) == ("OUT_OF_MEMORY", False, "upscale")
    assert "SR_MAX_TASK_BYTES" in error["hint"]


_BOUNDED = """
import sys
from pathlib import Path
from sr_airflow import limits
from sr_airflow.limits import limited
from sr_tasks.config import Settings
from sr_tasks.errors import ChunkFailed, OutOfMemory
from sr_tasks.demux.source import open_source
from sr_tasks.inference import backend
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.probe import probe
from sr_tasks.records.media import Chunk

limits.LEAST_BYTES = 0
fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
used = int(fields["VmData"].split()[0]) << 10
path = Path(sys.argv[2])
video = probe(path).video
chunk = Chunk(index=0, start_pts=video.start_pts, end_pts=video.end_pts, frames=video.frames, seek_pts=None,
              pts_sha256=video.pts_sha256)
try:
    with limited(Settings(max_task_bytes=used + (8 << 20)), queue="default"):
        if sys.argv[1] == "decode":
            kept = list(ChunkReader(path=path, chunk=chunk).frames())
        elif sys.argv[1] == "library":
            kept = []
            try:
                while True:
                    kept.append(bytearray(1 << 20))
            except MemoryError:
                kept.clear()
            raise ChunkFailed("x264 says that something went wrong.")
        else:
            kept = [bytearray(1 << 20) for _ in range(100_000)]
except OutOfMemory as exc:
    print(exc.code)
kept = [bytearray(1 << 20) for _ in range(200)]
print("goes on")
"""


@pytest.mark.parametrize("what", ["decode", "allocate", "library"])
def test_what_eats_memory_is_stopped_and_the_process_that_runs_it_goes_on(what: str, tmp_path: Path) -> None:
    clip = make(tmp_path / "clip.mkv", frames=60, width=640, height=480, options={"preset": "ultrafast"})
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, what, str(clip)],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["OUT_OF_MEMORY", "goes on"], done.stderr


def test_a_limit_below_what_the_program_takes_is_refused_before_anything_begins() -> None:
    before = soft()
    with pytest.raises(UsageError, match="SR_MAX_TASK_BYTES=1000000 is too little"), limited(
        Settings(max_task_bytes=1_000_000), queue="default"
    ):  # fmt: skip
        pass
    assert soft() == before


@pytest.mark.parametrize("error", [ChunkFailed("The disk is slow."), InputInvalid("No video."), OSError(5, "broken")])
def test_what_fails_for_another_reason_keeps_it(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, limited(Settings(max_task_bytes=1 << 40), queue="default"):
        raise error
    assert caught.value is error


def test_a_task_may_have_three_quarters_of_the_memory_there_is_unless_it_is_told() -> None:
    with limited(Settings(), queue="default"):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == memory_bytes() * 3 // 4


@pytest.mark.parametrize(
    ("queue", "backend", "driver", "is_limited"),
    [
        ("gpu", "auto", True, False),
        ("gpu", "auto", False, True),
        ("gpu", "openvino", True, True),
        ("default", "auto", True, True),
    ],
)
def test_a_step_on_a_gpu_has_its_memory_unlimited_since_cuda_maps_far_more(
    monkeypatch: pytest.MonkeyPatch, queue: str, backend: str, driver: bool, is_limited: bool
) -> None:
    monkeypatch.setattr(nvidia, "has_driver", lambda: driver)
    before = soft()
    with limited(Settings(backend=backend, max_task_bytes=7 << 30), queue=queue):
        assert soft()[0] == (7 << 30 if is_limited else before[0])
        assert soft()[1] == 0
    assert soft() == before


def test_a_limit_that_is_lower_already_stays() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    try:
        with limited(Settings(), queue="default"):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
