"""Whole jobs on interlaced sources: what comes out is progressive, in step with its sound, and says what was done."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from sr_tasks.errors import InputUnsupported
from sr_tasks.steps import upscale
from tests.interlaced import Frames, comb, interlaced, panned, telecined, write
from tests.steps.conftest import Enhance

CAMERAS = {
    "mpeg2": ("in.ts", "mpeg2video", {"flags": "+ildct+ilme", "b": "5000000", "g": "8"}, "yuv420p"),
    "h264": ("in.mkv", "libx264", {"x264-params": "tff=1:keyint=8", "crf": "18"}, "yuv420p"),
    "ffv1": ("in.mkv", "ffv1", {}, "yuv422p10le"),
}


def shown(path: Path) -> tuple[Frames, list[Fraction]]:
    """Luma of the frames of a file in 8-bit codes, and their times, as another reader gives them."""
    frames, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.reformat(format="yuv420p").to_ndarray()[: frame.height])
            times.append(frame.pts * frame.time_base)
    return frames, times


def stream(path: Path) -> dict[str, Any]:
    wanted = "stream=field_order,avg_frame_rate,codec_type,duration"
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", wanted, "-select_streams", "v", "-of", "json", str(path)],
        capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)["streams"][0]
    return found


def manifest(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
    return found


def shrunk(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (frame.shape[1] // 2, frame.shape[0] // 2), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("fields", ["single", "double"])
def test_an_interlaced_source_comes_out_progressive(
    fields: str, camera: str, tmp_path: Path, enhance: Enhance, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, codec, options, pix_fmt = CAMERAS[camera]
    combed = interlaced(panned(48, 1.5), "tff")
    source = write(tmp_path / name, combed, codec, options, pix_fmt=pix_fmt, sound=True)
    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 8)
    result = enhance(source, "out.mkv", fields=fields)
    output = tmp_path / "out.mkv"
    rate = 50 if fields == "double" else 25
    frames, times = shown(output)
    assert (result["status"], result["frames"], len(frames)) == ("COMPLETED", 24 * rate // 25, 24 * rate // 25)
    assert [round(float(time - times[0]), 3) for time in times] == [n / rate for n in range(len(frames))]
    assert stream(output)["field_order"] in ("progressive", "unknown")
    assert stream(output)["avg_frame_rate"] == f"{rate}/1"
    assert np.mean([comb(shrunk(f)) for f in frames[1:-1]]) < 0.2 * np.mean([comb(f) for f in combed])
    said = manifest(output)["source"]["probe"]
    assert said["picture"]["deinterlace"] == fields
    assert [repair["kind"] for repair in said["repairs"]] == ["deinterlaced"]
    assert all(finding["ok"] for finding in manifest(output)["integrity"]["findings"])


def test_film_comes_out_of_telecine_at_its_own_rate(tmp_path: Path, enhance: Enhance) -> None:
    film = panned(40, 2.5)
    source = write(tmp_path / "in.mkv", telecined(film), rate=Fraction(30000, 1001), sound=True)
    enhance(source, "out.mp4", fields="film")
    frames, times = shown(tmp_path / "out.mp4")
    assert len(frames) == 40
    assert abs(float(Fraction(stream(tmp_path / "out.mp4")["avg_frame_rate"])) - 24000 / 1001) < 0.05
    for n in range(2, 38):
        likeness = [float(np.abs(shrunk(frames[n]).astype(int) - film[n + shift]).mean()) for shift in (-1, 0, 1)]
        assert min(likeness) == likeness[1] < 4
    assert abs(float(times[-1] - times[0]) - 39 * 1001 / 24000) < 0.005


def test_a_job_killed_between_chunks_goes_on_to_the_pictures_of_one_that_was_not_cut(
    tmp_path: Path, enhance: Enhance, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(
        tmp_path / "in.mkv", interlaced(panned(60, 1.5), "bff"), "libx264", {"x264-params": "bff=1:keyint=6"}
    )
    enhance(source, "whole.mkv", fields="double", codec="ffv1")
    original, calls = upscale.run, []

    def dies(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 8)
    with monkeypatch.context() as patched:
        patched.setattr(upscale, "run", dies)
        with pytest.raises(KeyboardInterrupt):
            enhance(source, "cut.mkv", fields="double", codec="ffv1")
    enhance(source, "cut.mkv", fields="double", codec="ffv1")
    assert manifest(tmp_path / "cut.mkv")["chunks"] != manifest(tmp_path / "whole.mkv")["chunks"]
    (before, times), (after, same_times) = shown(tmp_path / "whole.mkv"), shown(tmp_path / "cut.mkv")
    assert times == same_times
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_refusing_fields_refuses_before_any_work(tmp_path: Path, enhance: Enhance) -> None:
    source = write(tmp_path / "in.mkv", interlaced(panned(48, 1.5), "tff"))
    with pytest.raises(InputUnsupported, match="interlaced"):
        enhance(source, "out.mkv", fields="refuse")
    assert not (tmp_path / "out.mkv").exists()


def test_dv_is_deinterlaced(tmp_path: Path, enhance: Enhance) -> None:
    """DV keeps colour at every fourth column of every row: no row is mixed with one of another moment."""
    script = "fps=60000/1001,tinterlace=interleave_bottom,setfield=bff,format=yuv411p"
    picture = "testsrc2=s=720x480:r=60000/1001:d=0.4"
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            picture,
            "-vf",
            script,
            "-c:v",
            "dvvideo",
            str(tmp_path / "in.avi"),
        ],
        check=True,
    )
    enhance(tmp_path / "in.avi", "out.mkv")
    before, _ = shown(tmp_path / "in.avi")
    after, _ = shown(tmp_path / "out.mkv")
    assert len(after) == len(before)
    assert np.mean([comb(shrunk(f)) for f in after[1:-1]]) < 0.3 * np.mean([comb(f) for f in before])
    assert manifest(tmp_path / "out.mkv")["source"]["probe"]["picture"]["field_order"] == "bff"


@pytest.mark.parametrize("bframes", ["0", "1", "2"])
def test_a_broadcast_that_turns_interlaced_comes_out_as_players_show_it(
    bframes: str, tmp_path: Path, enhance: Enhance
) -> None:
    """MPEG-2 begins a new sequence there, at which decoders drop the picture they still hold."""
    whole, combed = panned(25, 3, seed=3), interlaced(panned(50, 1.5), "tff")
    coding = {"b": "5000000", "g": "12", "bf": bframes}
    write(tmp_path / "a.ts", whole, "mpeg2video", coding)
    write(tmp_path / "b.ts", combed, "mpeg2video", {**coding, "flags": "+ildct+ilme"})
    parts = []
    for name, offset in (("a.ts", "0"), ("b.ts", "1")):
        parts.append(tmp_path / f"part-{name}")
        copying = ["-c", "copy", "-output_ts_offset", offset, "-muxdelay", "0"]
        subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / name), *copying, str(parts[-1])], check=True)
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    enhance(source, "out.mkv")
    before, _ = shown(source)
    after, _ = shown(tmp_path / "out.mkv")
    assert len(after) == len(before)
    said = manifest(tmp_path / "out.mkv")
    assert said["source"]["probe"]["picture"]["field_order"] == "tff"
    assert np.mean([comb(shrunk(f)) for f in after]) < 0.3 * np.mean([comb(f) for f in before])
