"""A job that is killed goes on where it was, and ends with the same bytes as one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.__main__ import job_id_of, main
from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import assemble, assess, deliver, gate, plan, prepare_model, upscale, validate
from tests.clips import Clip, make

REPOSITORY = Path(__file__).resolve().parents[2]
CLIP = Clip(frames=160, width=128, height=72, options={"g": "16", "sc_threshold": "0"}, sound="aac")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("source") / "clip.mp4", CLIP)


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("undisturbed")
    result = finish(start(source, folder))
    assert result["computed_chunks"] >= 5
    return (folder / "out.mp4").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(
    moment: int, source: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    """The moments are spread over the work, however fast it goes: so many chunks are done, and a little more."""
    process = start(source, tmp_path)
    wait_for(lambda: list(tmp_path.glob("workdir/chunks/*/users/*")), process)
    while process.poll() is None and len(done(tmp_path)) < moment and not (tmp_path / "out.mp4").exists():
        time.sleep(0.002)
    time.sleep(random.Random(moment).uniform(0.0, 0.1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = done(tmp_path)
    assert process.returncode == -signal.SIGKILL or moment > 3, "it was to be killed in the middle of its work"
    if (tmp_path / "out.mp4").exists():
        assert (tmp_path / "out.mp4").read_bytes() == undisturbed
        if not list(tmp_path.glob("workdir/jobs/*/output.json")):
            return  # it had ended before it was killed
    result = finish(start(source, tmp_path))
    assert (tmp_path / "out.mp4").read_bytes() == undisturbed
    assert result["resumed_chunks"] == len(finished)
    assert not list(tmp_path.glob("workdir/chunks/*/*"))


def test_killed_between_delivery_and_report_it_goes_on_and_reports(settings: Settings, tmp_path: Path) -> None:
    source, output = make(tmp_path / "clip.mp4", Clip(frames=12)), tmp_path / "out.mp4"
    spec = JobSpec(source=str(source), output=str(output), model="bicubic")
    job_id = job_id_of(spec)
    validate.run(spec, job_id, settings)
    for index in plan.run(job_id, settings)["chunks"]:
        prepare_model.run(job_id, settings)
        upscale.run(job_id, index, settings)
    for step in (assemble, assess, gate, deliver):
        step.run(job_id, settings)
    delivered = output.read_bytes()
    command = ["enhance", str(source), str(output), "--model", "bicubic", "--workdir", str(settings.workdir)]
    assert main(command) == 0
    assert output.read_bytes() == delivered
    assert Path(f"{output}.manifest.json").is_file()
    assert main(command) == 3, "a finished output is never replaced unasked"


def test_sigterm_keeps_finished_chunks_and_leaves_no_output(source: Path, tmp_path: Path) -> None:
    process = start(source, tmp_path)
    wait_for(lambda: done(tmp_path), process)
    process.terminate()
    text, _ = process.communicate(timeout=300)
    answer = json.loads(text.strip().splitlines()[-1])
    assert (process.returncode, answer["error"]["code"]) == (5, "JOB_CANCELLED")
    assert done(tmp_path)
    assert not (tmp_path / "out.mp4").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["workdir"]


@pytest.mark.parametrize("change", [["--crf", "25"], ["--model", "bicubic"], ["--scale", "4"]])
def test_a_change_of_settings_computes_anew(change: list[str], source: Path, tmp_path: Path) -> None:
    process = start(source, tmp_path)
    wait_for(lambda: done(tmp_path), process)
    process.kill()
    process.wait()
    result = finish(start(source, tmp_path, *change))
    assert result["resumed_chunks"] == 0


def test_two_processes_at_the_same_job_do_no_harm(source: Path, undisturbed: bytes, tmp_path: Path) -> None:
    processes = [start(source, tmp_path) for _ in range(2)]
    answers = [json.loads(p.communicate(timeout=300)[0].strip().splitlines()[-1]) for p in processes]
    assert sorted(answer["status"] for answer in answers) == ["COMPLETED", "FAILED"]
    assert next(a["error"]["code"] for a in answers if a["status"] == "FAILED") in ("JOB_RUNNING", "TARGET_EXISTS")
    assert (tmp_path / "out.mp4").read_bytes() == undisturbed


def start(source: Path, folder: Path, *options: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "SR_CHUNK_TARGET_S": "0.05",
        "SR_PRECISION": "fp32",
        "SR_THREADS": "2",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [
        sys.executable, "-m", "sr_tasks", "enhance", str(source), str(folder / "out.mp4"), "--json",
        "--workdir", str(folder / "workdir"), *options,
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def done(folder: Path) -> list[Path]:
    """The markers of the chunks that are there."""
    return list(folder.glob("workdir/chunks/*/0*.json"))


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    text, _ = process.communicate(timeout=600)
    answer: dict[str, Any] = json.loads(text.strip().splitlines()[-1])
    assert process.returncode == 0, answer
    return answer


def wait_for(condition: Any, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, "the job ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
