"""The command line: an option for every field of a request, the plan of a job, and ends that are no failures."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sr_embedded.__main__ import build_parser as launcher_parser

from sr_tasks import __main__ as cli
from sr_tasks.jobs.options import given
from sr_tasks.jobs.spec import JobSpec, job_spec
from tests.clips import Clip, make

GIVEN = {
    "source": "a.mp4", "output": "b.mkv", "overwrite": True, "scale": 4, "model": "compact-x4", "restore": 2.5,
    "content": "live", "fields": "double", "fps": "30000/1001", "program": 2, "strict": True, "strip": "location",
    "tenant": "acme", "codec": "hevc", "preset": "slow", "gate": False, "review": "never",
    "priority": "high", "deadline_minutes": 90, "bit_depth": 10, "chroma": "422", "audio": "aac 192k",
    "size": "1280x720", "purpose": "archive", "denoise": "off", "deblock": "off", "deband": "strong",
    "sharpen": "light", "poster": True, "contact_sheet": True, "strength": 0.5, "grain": "keep",
}  # fmt: skip


RATES = {"crf": 21, "bitrate": "8M", "target_size": "1.5GiB"}
"""Fields of which a request has one."""


def arguments(asked: dict[str, object]) -> list[str]:
    """The words that ask for these fields."""
    words = ["enhance", "a.mp4", "b.mkv"]
    for name, value in asked.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{name}")
        elif name not in ("source", "output"):
            words += [flag, str(value)]
    return words


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("parser", [cli.build_parser, launcher_parser], ids=["command line", "launcher"])
def test_every_field_of_a_request_has_an_option(parser: object, rate: str) -> None:
    assert set(GIVEN) | set(RATES) == set(JobSpec.model_fields)
    asked = GIVEN | {rate: RATES[rate]}
    options = parser().parse_args(arguments(asked))  # type: ignore[operator]
    assert job_spec(given(options)) == JobSpec.model_validate(asked)


@pytest.mark.parametrize("parser", [cli.build_parser, launcher_parser], ids=["command line", "launcher"])
def test_what_is_left_out_or_empty_is_as_the_request_says(parser: object) -> None:
    options = parser().parse_args(["enhance", "a.mp4", "--scale", "", "--model", "", "--crf", ""])  # type: ignore[operator]
    assert job_spec(given(options)) == JobSpec(source="a.mp4")


def run(*words: str | Path, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sr_tasks", *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ, **options
    )  # type: ignore[call-overload, no-any-return]


def test_a_reader_that_has_enough_ends_a_probe_quietly(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", frames=4)
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-m", "sr_tasks", "probe", str(source), "--workdir", str(tmp_path / "w")]
    done = subprocess.run(program, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_job_whose_terminal_closes_ends_as_a_stopped_one(number: signal.Signals, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=400, width=320, height=240))
    work = tmp_path / "w"
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a test run under nohup would hand down to ignore it
    try:
        job = run("enhance", source, tmp_path / "o.mp4", "--model", "compact-x2", "--workdir", work, "--json")
    finally:
        signal.signal(signal.SIGHUP, before)
    end = time.monotonic() + 120
    while not list(work.glob("jobs/*/plan.json")) and time.monotonic() < end and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(number)
    out, err = job.communicate(timeout=120)
    assert json.loads(out.strip().splitlines()[-1])["error"]["code"] == "JOB_CANCELLED"
    assert job.returncode == 5
    assert "Traceback" not in err
    assert not (tmp_path / "o.mp4").exists()


def test_a_plan_shows_picture_and_streams_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "clip.mkv", Clip(frames=12, sound="aac", attachment=True))
    work, output = tmp_path / "w", tmp_path / "out.mp4"
    words = ["probe", str(source), "--plan", "--output", str(output), "--codec", "hevc", "--workdir", str(work)]
    assert cli.main([*words, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    fates = {row["type"]: (row["fate"], bool(row["reason"])) for row in plan["streams"]}
    assert fates["video"][0] == "enhanced"
    assert fates["audio"] == ("kept", False)
    assert fates["attachment"] == ("dropped", True)
    assert plan["picture"]["planes"] == "yuv420p 160x96"
    assert "hevc yuv420p 320x192" in plan["picture"]["target"]
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert "attachment" in shown
    assert "dropped" in shown
    assert not output.exists()
    assert not list(work.glob("jobs/*"))


def test_a_strict_plan_is_refused_with_what_would_be_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make(tmp_path / "clip.mkv", Clip(frames=12, attachment=True))
    words = ["probe", str(source), "--plan", "--output", str(tmp_path / "o.mp4"), "--workdir", str(tmp_path / "w")]
    assert cli.main([*words, "--strict"]) == 3
    assert "attachment" in capsys.readouterr().err
