"""Every row of the table of codecs in docs/outputs.md, as a whole job whose output Debian's ffprobe reads."""

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.containers import TARGETS, holds
from tests import readers
from tests.clips import Clip, make

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^\| (\w+) \| (\d+) \| (4:\d:\d) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TABLE = LINE.findall((ROOT / "docs" / "outputs.md").read_text(encoding="utf-8"))
"""Codec, bits, chroma, profile, containers, quality, seconds a megapixel, the same with slow presets."""
JOBS = [
    pytest.param(codec, int(bits), chroma.replace(":", ""), profile, suffix, id=f"{codec}-{bits}-{chroma}{suffix}")
    for codec, bits, chroma, profile, suffixes, *_ in TABLE
    for suffix in re.findall(r"\.\w+", suffixes)
]
SHOWN = "codec_name,profile,pix_fmt,nb_read_frames,color_range,color_space,color_primaries,color_transfer"
FRAMES, EXACT = 22, (".mp4", ".mov")


def test_the_table_says_what_the_product_does() -> None:
    held = {
        (row.name, layout.bit_depth, ":".join(layout.chroma))
        for row in CODECS.values()
        for layout in row.layouts
        if layout.chroma != "gray"
    }
    assert {(codec, int(bits), chroma) for codec, bits, chroma, *_ in TABLE} == held
    for codec, _, _, _, suffixes, quality, speed, slow in TABLE:
        row = CODECS[codec]
        assert re.findall(r"\.\w+", suffixes) == [suffix for suffix in TARGETS if holds(suffix, codec)]
        scale = f"crf {row.crf} (0 to {row.max_crf})" if row.crf is not None else ""
        assert quality == (scale or ("lossless" if row.is_lossless else "of its profile"))
        assert (float(speed), float(slow)) == (row.encode_s, row.slow_encode_s)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames of unequal length with keyframes, so that a job of it has several chunks."""
    uneven = [n * 1000 + (n % 3) * 80 for n in range(FRAMES)]
    options = {"g": "8", "sc_threshold": "0"}
    path = tmp_path_factory.mktemp("source") / "clip.mp4"
    tick = Fraction(1, 25_000)
    return make(path, Clip(frames=FRAMES, width=64, height=48, options=options, time_base=tick, pts=uneven))


@pytest.mark.parametrize(("codec", "bits", "chroma", "profile", "suffix"), JOBS)
def test_each_codec_at_each_depth_in_each_container_is_read_by_another_program(
    codec: str, bits: int, chroma: str, profile: str, suffix: str, source: Path, enhance: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 8)
    answer = enhance(source, f"out{suffix}", codec=codec, bit_depth=bits, chroma=chroma, preset="veryfast")
    assert answer["computed_chunks"] > 1
    output = tmp_path / f"out{suffix}"
    shown = probed(output, f"stream={SHOWN}", "-count_frames")["streams"][0]
    assert (shown["codec_name"], shown.get("profile", "none")) == (codec, profile)
    kept = "444p12le" if (codec, chroma) == ("prores", "444") else f"{chroma}p{'' if bits == 8 else f'{bits}le'}"
    assert shown["pix_fmt"] == f"yuv{kept}", "ProRes 4444 is decoded to 12 bits"
    assert shown["nb_read_frames"] == str(FRAMES)
    assert {shown[name] for name in ("color_space", "color_primaries", "color_transfer")} == {"bt709"}
    assert shown["color_range"] == "tv"
    tolerance = 0 if suffix in EXACT else 0.0011
    assert stamps(output) == pytest.approx(stamps(source), abs=tolerance)


@pytest.mark.parametrize(
    ("codec", "asked", "words"),
    [
        ("h264", {"bit_depth": 12}, "codec=h264 has no bit_depth=12; it has 8, 10"),
        ("vp9", {"bit_depth": 10}, "codec=vp9 has no bit_depth=10; it has 8"),
        ("prores", {"chroma": "420"}, "codec=prores has no chroma=420; it has 422, 444"),
        ("av1", {"chroma": "444", "bit_depth": 10}, "codec=av1 has no chroma=444; it has 420"),
        ("ffv1", {"chroma": "422", "bit_depth": 9}, "codec=ffv1 of chroma=422 has no bit_depth=9"),
    ],
)
def test_samples_that_a_codec_does_not_hold_are_refused_with_those_it_holds(
    codec: str, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        job_spec({"codec": codec, **asked})


@pytest.mark.parametrize(
    ("made", "asked", "pix_fmt", "said"),
    [
        ("yuv444p10le", {"bit_depth": 8, "chroma": "420"}, "yuv420p", "10 bits are rounded to 8, as was asked for"),
        ("yuv422p", {"chroma": "420"}, "yuv420p", "chroma is resampled to 4:2:0, as was asked for"),
        ("yuv420p", {"bit_depth": 10, "chroma": "444"}, "yuv444p10le", "8 bits are held in 10"),
    ],
)
def test_samples_that_are_asked_for_are_no_loss_to_a_strict_job_and_are_said(
    made: str, asked: dict[str, Any], pix_fmt: str, said: str, enhance: Any, tmp_path: Path
) -> None:
    path = make(tmp_path / "in.mkv", Clip(frames=6, width=64, height=48, codec="ffv1", pix_fmt=made))
    answer = enhance(path, "out.mkv", strict=True, **asked)
    assert probed(tmp_path / "out.mkv", "stream=pix_fmt")["streams"][0]["pix_fmt"] == pix_fmt
    rows = json.loads(Path(answer["manifest"]).read_text(encoding="utf-8"))["streams"]
    assert said in rows[0]["reason"]


def probed(path: Path, fields: str, *options: str) -> dict[str, Any]:
    """What ffprobe says of the picture."""
    command = ("ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", fields, *options, "-of", "json")
    found: dict[str, Any] = json.loads(readers.run(*command, path))
    return found


def stamps(path: Path) -> list[float]:
    """Seconds from the first frame on."""
    times = [float(frame["pts_time"]) for frame in probed(path, "frame=pts_time")["frames"]]
    return [time - times[0] for time in times]
