"""Whole jobs on sources whose times are out of order: all frames once, sound in step, and it is said what was done."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.__main__ import main
from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps import pipeline, plan, prepare_model, upscale, validate
from sr_tasks.steps.shared import inspection
from sr_tasks.telemetry.progress import Observers
from tests import readers
from tests.boxes import edited
from tests.steps.conftest import Enhance


def recording(path: Path, *options: str) -> Path:
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1.2"]
    command += ["-f", "lavfi", "-i", "sine=440:r=48000:d=1.2", "-c:v", "libx264", "-g", "10", "-c:a", "mp2"]
    subprocess.run([*command, *options, str(path)], check=True)
    return path


def times(path: Path, stream: str) -> list[float]:
    """Seconds of the packets of a stream in order, as Debian's ffprobe says."""
    command = ["ffprobe", "-v", "quiet", "-select_streams", stream, "-show_entries", "packet=pts_time", "-of", "json"]
    told = json.loads(subprocess.run([*command, str(path)], check=True, capture_output=True).stdout)
    return sorted(float(packet["pts_time"]) for packet in told["packets"])


def test_joined_recordings_keep_sound_in_step(enhance: Enhance, tmp_path: Path) -> None:
    one = recording(tmp_path / "one.ts")
    source = tmp_path / "joined.ts"
    source.write_bytes(one.read_bytes() * 2)
    result = enhance(source, "out.mkv")
    picture, sound = times(Path(result["output"]), "v:0"), times(Path(result["output"]), "a:0")
    before, heard = times(one, "v:0"), times(one, "a:0")
    assert (len(picture), len(sound)) == (2 * len(before), 2 * len(heard))
    step = heard[0] - before[0]
    for half in (0, 1):
        offset = sound[half * len(heard)] - picture[half * len(before)]
        assert offset == pytest.approx(step, abs=0.002)
    assert max(later - earlier for earlier, later in pairwise(sound)) < 0.06
    manifest = json.loads(Path(result["manifest"]).read_text())
    assert [row["kind"] for row in manifest["source"]["probe"]["repairs"]] == ["jumping-times"]


CAPTURES = {
    "h264": ("-bf", "2"),
    "mpeg2": ("-c:v", "mpeg2video", "-bf", "2"),
    "hevc": ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=10:open-gop=1:bframes=2", "-c:a", "aac"),
}


@pytest.mark.parametrize("coding", CAPTURES.values(), ids=CAPTURES)
def test_a_lead_in_is_no_damage_and_sound_before_the_picture_stays(
    coding: tuple[str, ...], enhance: Enhance, tmp_path: Path
) -> None:
    data = recording(tmp_path / "one.ts", *coding).read_bytes()
    source = tmp_path / "cut.ts"
    source.write_bytes(data[: 3 * 188] + data[len(data) // 188 // 4 * 188 :])
    result = enhance(source, "out.mkv")
    assert result["quality"]["damaged_frames"] == 0
    manifest = json.loads(Path(result["manifest"]).read_text())
    assert {row["kind"] for row in manifest["source"]["probe"]["repairs"]} >= {"lead-in"}
    picture, sound = times(Path(result["output"]), "v:0"), times(Path(result["output"]), "a:0")
    before, heard = times(source, "v:0"), times(source, "a:0")
    assert sound[-1] - picture[-1] == pytest.approx(heard[-1] - before[-1], abs=0.002)
    assert sound[0] < picture[0]


def test_a_job_on_a_table_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "joined.ts"
    source.write_bytes(recording(tmp_path / "one.ts").read_bytes() * 2)
    spec = JobSpec(
        source=str(source), output=str(tmp_path / "out.mkv"), model="bicubic", preset="ultrafast", gate=False
    )
    for step in (lambda: validate.run(spec, "job", settings), lambda: plan.run("job", settings)):
        step()
    prepare_model.run("job", settings)
    upscale.run("job", 0, settings)
    result = pipeline.run(spec, "job", settings, Observers())
    assert result["resumed_chunks"] == 1
    assert result["frames"] == 60


@pytest.mark.parametrize(("program", "kept"), [(None, {0, 1}), (1, {0, 1}), (2, {2, 3})])
def test_two_programmes_give_the_first_or_the_one_asked_for(
    program: int | None, kept: set[int], enhance: Enhance, tmp_path: Path
) -> None:
    maps = [part for stream in ("0:v", "1:a", "0:v", "1:a") for part in ("-map", stream)]
    programs = ["-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3"]
    result = enhance(recording(tmp_path / "two.ts", *maps, *programs), "out.mkv", program=program)
    manifest = json.loads(Path(result["manifest"]).read_text())
    fates = {row["source_index"]: row["fate"] for row in manifest["streams"]}
    assert {index for index, fate in fates.items() if fate != "dropped"} == kept


EDITS = {
    "the middle is cut": ({0: [(480, 1024), (480, 16384)], 1: [(480, 1024), (480, 58624)]}, 0.96),
    "the end comes first": ({0: [(800, 13824), (800, 1024)], 1: [(800, 49024), (800, 1024)]}, 1.6),
    "begins late": ({0: [(1000, 6144)], 1: [(1000, 20224)]}, 1.0),
}
"""Edits of both tracks, and the seconds that are heard of them."""


@pytest.mark.parametrize("output", ["out.mp4", "out.mkv"])
@pytest.mark.parametrize(("edits", "seconds"), EDITS.values(), ids=EDITS)
def test_sound_that_an_edit_list_cuts_out_stays_out(
    edits: dict[int, list[tuple[int, int]]], seconds: float, output: str, enhance: Enhance, tmp_path: Path
) -> None:
    coding = ("-bf", "2", "-g", "12", "-c:a", "aac", "-video_track_timescale", "12800")
    source = edited(readers.recording(tmp_path / "plain.mp4", *coding), tmp_path / "in.mp4", edits)
    result = enhance(source, output)
    assert heard(source) == pytest.approx(seconds, abs=0.05)
    # What a decoder needs to begin stays before the picture.
    assert heard(Path(result["output"])) == pytest.approx(seconds, abs=0.12)
    before, after = (times(path, "v:0") for path in (source, Path(result["output"])))
    assert result["frames"] == len(after) <= len(before)


def heard(path: Path) -> float:
    """Seconds of sound that Debian's ffmpeg decodes."""
    return len(readers.run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-ac", "1", "-f", "s16le", "-")) / 96000


@pytest.mark.parametrize("sound", [("aac", "-mpegts_flags", "latm"), ("s302m", "-strict", "-2")])
def test_converted_sound_of_joined_recordings_stays_in_step(
    sound: tuple[str, ...], enhance: Enhance, tmp_path: Path
) -> None:
    one = recording(tmp_path / "one.ts", "-ac", "2", "-c:a", *sound)
    source = tmp_path / "joined.ts"
    source.write_bytes(one.read_bytes() * 2)
    result = enhance(source, "out.mkv")
    manifest = json.loads(Path(result["manifest"]).read_text())
    row = next(row for row in manifest["integrity"]["findings"] if row["check"].startswith("Audio"))
    assert row["ok"]
    assert heard(Path(result["output"])) == pytest.approx(2 * heard(one), abs=0.1)


@pytest.mark.parametrize("coding", [("libx264", "-bf", "0"), ("libx264", "-bf", "2"), ("mpeg2video", "-bf", "2")])
def test_a_picture_that_stands_while_sound_goes_on_stays_in_step(
    coding: tuple[str, ...], enhance: Enhance, tmp_path: Path
) -> None:
    stands = ("-vf", "setpts='if(gte(N,15),PTS+14/TB,PTS)'", "-vsync", "passthrough", "-c:v", *coding)
    sound = (
        "-f",
        "lavfi",
        "-i",
        "sine=440:r=48000:d=15.2",
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c:a",
        "mp2",
    )
    source = readers.ffmpeg(tmp_path / "in.ts", *readers.PICTURE, *sound, *stands, "-t", "15.2")
    picture, heard_at = times(source, "v:0"), times(source, "a:0")
    output = Path(enhance(source, "out.mkv")["output"])
    for stream, expected in (("v:0", picture), ("a:0", heard_at)):
        found = times(output, stream)
        assert found[-1] - found[0] == pytest.approx(expected[-1] - expected[0], abs=0.003)


def test_the_command_line_decodes_a_source_without_ascending_times_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "joined.ts"
    source.write_bytes(recording(tmp_path / "one.ts").read_bytes() * 2)
    looks, look = [], inspection.first_look

    def counted(*args: Any, **kwargs: Any) -> Any:
        looks.append(args)
        return look(*args, **kwargs)

    monkeypatch.setattr(inspection, "first_look", counted)
    target = tmp_path / "out.mkv"
    command = ["enhance", str(source), str(target), "--model", "bicubic", "--workdir", str(tmp_path / "work")]
    assert main(command) == 0
    assert len(looks) == 1
    assert len(times(target, "v:0")) == 60
