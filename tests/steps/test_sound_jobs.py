"""Jobs that ask for AAC or Opus: the same sound at the same time, in another codec."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks.errors import ContainerMismatch, UsageError
from sr_tasks.jobs.spec import job_spec
from tests import readers

RATE = 48_000
CLICKS = "aevalsrc=0.2*sin(330*2*PI*t)+0.7*sin(2000*2*PI*t)*lt(mod(t\\,0.5)\\,0.02)|0.1*sin(550*2*PI*t):d=2:s=48000"
"""A low tone with a short high one every half second at the left, another low one at the right."""


def source(path: Path, *options: object) -> Path:
    return readers.ffmpeg(path, *readers.PICTURE, "-f", "lavfi", "-i", CLICKS, *readers.H264, *options)


def decoded(path: Path) -> np.ndarray:
    """Samples [n, channels] as players hear them, at RATE, from the moment on that the picture begins."""
    begin = float(readers.streams(path)[0]["start_time"])
    to = ("-map", "0:a:0", "-af", "aresample=async=1:first_pts=0", "-ar", RATE, "-ac", 2, "-f", "f32le", "-")
    command = ("ffmpeg", "-v", "error", "-copyts", "-i", path, *to)
    heard = np.frombuffer(readers.run(*command), "<f4").reshape(-1, 2)
    return heard[round(begin * RATE) :]


@pytest.mark.parametrize(
    ("audio", "made", "suffix"),
    [
        ("aac 192k", "pcm_s16le", ".mp4"),
        ("aac", "flac", ".mkv"),
        ("aac 96k", "libopus", ".mov"),
        ("opus 128k", "pcm_s16le", ".webm"),
        ("opus", "aac", ".mkv"),
        ("opus 160k", "flac", ".mp4"),
    ],
)
def test_sound_in_another_codec_is_as_loud_as_long_and_in_step(
    audio: str, made: str, suffix: str, enhance: Any, tmp_path: Path
) -> None:
    path = source(tmp_path / "in.mkv", "-c:a", made, "-metadata:s:a:0", "language=ger")
    codec = "vp9" if suffix == ".webm" else "h264"
    answer = enhance(path, f"out{suffix}", audio=audio, strict=True, codec=codec)
    output = tmp_path / f"out{suffix}"
    found = readers.streams(output)[1]
    assert (found["codec_name"], found["channels"], found["tags"]["language"]) == (audio.split()[0], 2, "ger")
    before, after = decoded(path), decoded(output)
    assert abs(len(after) - len(before)) < 0.03 * RATE
    length = min(len(before), len(after))
    before, after = before[:length], after[:length]
    for channel in (0, 1):
        levels = [float(np.sqrt((side[:, channel] ** 2).mean())) for side in (before, after)]
        assert levels[1] == pytest.approx(levels[0], rel=0.05)
    assert abs(shift(before[:, 0], after[:, 0])) <= RATE // 1000, "within a millisecond"
    row = json.loads(Path(answer["manifest"]).read_text(encoding="utf-8"))["streams"][1]
    assert (row["fate"], row["is_asked"]) == ("converted", True)
    assert row["reason"].startswith("asked for")


def shift(one: np.ndarray, other: np.ndarray) -> int:
    """Samples that `other` lies behind `one`, where they are most alike."""
    size = 1 << (len(one) * 2 - 1).bit_length()
    alike = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(one, size)), size)
    place = int(alike.argmax())
    return place - size if place > size // 2 else place


@pytest.mark.parametrize(("channels", "asked", "rate"), [("mono", "aac 128k", 64_000), ("5.1", "aac 128k", 384_000)])
def test_a_bitrate_is_for_two_channels_and_others_get_as_much_for_each(
    channels: str, asked: str, rate: int, enhance: Any, tmp_path: Path
) -> None:
    noise = (
        f"aevalsrc={'|'.join(f'0.6*random({n})-0.3' for n in range(6 if channels == '5.1' else 1))}:c={channels}:d=2"
    )
    path = readers.ffmpeg(
        tmp_path / "in.mkv", *readers.PICTURE, "-f", "lavfi", "-i", noise, *readers.H264, "-c:a", "flac"
    )
    answer = enhance(path, "out.mp4", audio=asked)
    found = readers.streams(tmp_path / "out.mp4")[1]
    assert found["channel_layout"] == channels
    assert int(found["bit_rate"]) == pytest.approx(rate, rel=0.2)
    row = json.loads(Path(answer["manifest"]).read_text(encoding="utf-8"))["streams"][1]
    assert row["reason"] == f"asked for at {rate // 1000} kb/s"


def test_sound_that_is_as_asked_already_is_copied(enhance: Any, tmp_path: Path) -> None:
    path = source(tmp_path / "in.mp4", "-c:a", "aac")
    answer = enhance(path, "out.mp4", audio="aac")
    assert readers.samples(tmp_path / "out.mp4") == readers.samples(path)
    assert json.loads(Path(answer["manifest"]).read_text(encoding="utf-8"))["streams"][1]["fate"] == "kept"


def test_sound_that_the_container_does_not_hold_is_refused_before_any_work(enhance: Any, tmp_path: Path) -> None:
    path = source(tmp_path / "in.mp4", "-c:a", "aac")
    with pytest.raises(ContainerMismatch, match=re.escape("(aac, stereo) cannot be opus in a .mov file")):
        enhance(path, "out.mov", audio="opus")


@pytest.mark.parametrize("audio", ["mp3", "aac 192", "aac 1k", "opus 900k", "aac192k", ""])
def test_sound_that_no_encoder_makes_is_no_request(audio: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"audio={audio!r} is not accepted")):
        job_spec({"audio": audio})
