"""Jobs that ask for a bitrate or a size: the output has it, in chunks as in one, and again after a kill."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks.errors import InputUnsupported, UsageError
from sr_tasks.jobs.spec import job_spec
from tests import readers
from tests.clips import Clip, make
from tests.steps.test_resume import finish, start, wait_for

FRAMES = 36
SHAPE: dict[str, Any] = {"frames": FRAMES, "width": 96, "height": 64, "options": {"g": "12", "sc_threshold": "0"}}
CLIPS = {
    "drawn": Clip(**SHAPE, sound="aac"),
    "noisy": Clip(**SHAPE, noise=6.0, sound="aac"),
    "coarse": Clip(**SHAPE, noise=25.0),
    "10 bit": Clip(**SHAPE, pix_fmt="yuv422p10le", noise=3.0),
    "uneven": Clip(**SHAPE, noise=3.0, pts=[n * 1000 + n % 3 * 70 for n in range(FRAMES)]),
}


@pytest.fixture
def long_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat a clip as a video of hours: in chunks that are encoded apart, of which some are tried first."""
    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 12)
    monkeypatch.setattr("sr_tasks.steps.shared.rate.SEGMENT_FRAMES", 12)
    monkeypatch.setattr("sr_tasks.steps.shared.rate.SAMPLED", 2)


def size_at(crf: int, source: Path, enhance: Any, **spec: Any) -> int:
    answer = enhance(source, "free.mkv", crf=crf, gate=False, **spec)
    return Path(answer["output"].removeprefix("file://")).stat().st_size


def kilobytes(size: float) -> str:
    return f"{size / 1000:.3f}kB"


@pytest.mark.usefixtures("long_video")
@pytest.mark.parametrize("name", CLIPS)
def test_the_file_has_the_size_that_was_asked_for(name: str, enhance: Any, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mkv", CLIPS[name])
    wanted = size_at(30, source, enhance)
    answer = enhance(source, "out.mkv", target_size=kilobytes(wanted), gate=False)
    assert 0.97 <= (tmp_path / "out.mkv").stat().st_size / wanted <= 1.0
    rate = json.loads(Path(answer["manifest"]).read_text(encoding="utf-8"))["rate"]
    assert abs(rate["crf"] - 30) < 2, "the plan of the rate is the quality that gives that size"
    assert not list(tmp_path.glob("workdir/jobs/*/rate"))


@pytest.mark.parametrize(("codec", "suffix"), [("hevc", ".mp4"), ("av1", ".webm"), ("vp9", ".mkv"), ("h264", ".mov")])
def test_each_codec_with_a_quality_keeps_to_a_size(codec: str, suffix: str, enhance: Any, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mkv", CLIPS["noisy"])
    wanted = size_at(36, source, enhance, codec=codec)
    enhance(source, f"out{suffix}", codec=codec, target_size=kilobytes(wanted), gate=False)
    output = tmp_path / f"out{suffix}"
    assert 0.97 <= output.stat().st_size / wanted <= 1.0
    picture, sound = readers.streams(output)
    assert (picture["codec_name"], sound["codec_type"]) == (codec, "audio")


@pytest.mark.usefixtures("long_video")
def test_the_picture_has_the_bitrate_that_was_asked_for(enhance: Any, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", CLIPS["noisy"])
    enhance(source, "out.mp4", bitrate="400k", gate=False)
    found = readers.streams(tmp_path / "out.mp4")[0]
    assert 390_000 <= int(found["bit_rate"]) <= 400_000
    assert int(found["nb_frames"]) == FRAMES


def test_a_size_that_the_best_quality_does_not_fill_is_left_unfilled(enhance: Any, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", Clip(frames=12))
    enhance(source, "out.mp4", target_size="40MB")
    assert (tmp_path / "out.mp4").stat().st_size < 2_000_000


def test_chunks_cost_nothing(enhance: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make(tmp_path / "in.mp4", CLIPS["noisy"])
    enhance(source, "lossless.mkv", codec="ffv1")
    found = []
    for name, frames in (("many.mp4", 12), ("one.mp4", FRAMES)):
        monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_, frames=frames: frames)
        answer = enhance(source, name, target_size="30kB", gate=False)
        found.append((answer["computed_chunks"], psnr(tmp_path / name, tmp_path / "lossless.mkv")))
    (many, in_chunks), (one, at_once) = found
    assert (many, one) == (3, 1)
    assert abs(in_chunks - at_once) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2])
def test_killed_while_the_rate_is_found_and_run_again_gives_the_same_bytes(rounds: int, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", CLIPS["noisy"])
    options = ("--target-size", "90kB", "--model", "bicubic", "--no-gate", "--overwrite")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    finish(start(source, whole, *options))
    process = start(source, killed, *options)
    wait_for(lambda: rounds <= len(list(killed.glob("workdir/jobs/*/rate/chunks/*/0*.json"))), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finish(start(source, killed, *options))
    assert (killed / "out.mp4").read_bytes() == (whole / "out.mp4").read_bytes()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target_size": "4kB"}, r"target_size=4kB is too little: the picture needs .* Ask for \d+kB or more"),
        ({"bitrate": "1k"}, r"bitrate=1k is too little for 192x128 with 25 frames a second. Ask for \d+k or more"),
    ],
)
def test_a_rate_that_is_too_little_for_any_encoder_is_refused_with_one_that_will_do(
    asked: dict[str, str], words: str, enhance: Any, tmp_path: Path
) -> None:
    source = make(tmp_path / "in.mp4", CLIPS["drawn"])
    with pytest.raises(InputUnsupported, match=words):
        enhance(source, "out.mp4", **asked)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(("asked", "field"), [({"target_size": "2kB"}, "target_size"), ({"bitrate": "6k"}, "bitrate")])
def test_a_rate_that_is_too_little_for_this_picture_is_refused_before_any_work(
    asked: dict[str, str], field: str, enhance: Any, tmp_path: Path
) -> None:
    source = make(tmp_path / "in.mp4", CLIPS["coarse"])
    with pytest.raises(InputUnsupported, match=rf"{field}=.* is less than h264 takes of this picture.* more than \d+k"):
        enhance(source, "out.mp4", **asked)
    assert not list(tmp_path.glob("workdir/chunks/*/0*"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"crf": 20, "bitrate": "2M"}, "crf and bitrate say the same thing"),
        ({"bitrate": "2M", "target_size": "7MB"}, "bitrate and target_size say the same thing"),
        ({"codec": "ffv1", "target_size": "7MB"}, "codec=ffv1 is lossless and takes no target_size"),
        ({"codec": "prores", "bitrate": "9M"}, "codec=prores has a quality of its own and takes no bitrate"),
        ({"target_size": "700"}, "target_size='700' is not accepted"),
        ({"bitrate": "8MB"}, "bitrate='8MB' is not accepted"),
    ],
)
def test_a_rate_that_contradicts_the_request_is_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        job_spec(asked)


@pytest.mark.parametrize("asked", [{"bitrate": "2M"}, {"target_size": "7MB"}])
def test_a_still_picture_takes_no_rate(asked: dict[str, str], enhance: Any, tmp_path: Path) -> None:
    source = readers.ffmpeg(tmp_path / "in.png", *readers.PICTURE, "-frames:v", 1)
    with pytest.raises(UsageError, match=f"in.png is a still picture, which takes no {next(iter(asked))}="):
        enhance(source, "out.png", **asked)


def psnr(output: Path, reference: Path) -> float:
    """Of luma over all frames, as Debian's ffmpeg decodes them."""
    raw = ("-map", "0:v", "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-")
    shown, meant = (
        np.frombuffer(subprocess.check_output(["ffmpeg", "-v", "error", "-i", path, *raw]), np.uint8).astype(float)
        for path in (output, reference)
    )
    return float(10 * np.log10(255**2 / ((shown - meant) ** 2).mean()))
