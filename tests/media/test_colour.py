"""Colour: what tags mean that say nothing, and pictures that cannot be right without what would be lost."""

import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.probe import glance, probe
from sr_tasks.records import colour
from sr_tasks.records.media import VideoInfo
from tests.clips import Clip, make

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def video(**changes: Any) -> VideoInfo:
    fields = {"pix_fmt": "yuv420p", "height": 480, "color_range": 0, "colorspace": 2, "sample_aspect_ratio": "0:1"}
    return VideoInfo.model_construct(**fields | changes)


def test_a_range_that_says_nothing_is_limited_for_yuv_and_gray_and_full_for_rgb() -> None:
    assert [colour.range_of(video(pix_fmt=name)) for name in ("yuv420p", "gray", "gbrp", "rgb24")] == [1, 1, 2, 2]
    assert colour.range_of(video(color_range=2)) == 2
    assert colour.range_of(video(pix_fmt="gbrp", color_range=1)) == 1


def test_a_matrix_that_says_nothing_goes_by_the_lines() -> None:
    assert [colour.matrix_of(video(height=lines)) for lines in (576, 719, 720, 2160)] == [6, 6, 1, 1]
    assert colour.matrix_of(video(height=2160, colorspace=9)) == 9


def test_an_aspect_that_says_nothing_is_square() -> None:
    assert colour.aspect_of(video()) == colour.aspect_of(video(sample_aspect_ratio="1:1")) == 1


def with_dolby_vision(path: Path, *, profile: int, compatibility: int, behind: bytes) -> Path:
    """State Dolby Vision in an MP4 whose index lies at its end: a `dvcC` box behind another one of the sample entry."""
    data = bytearray(path.read_bytes())
    flags = profile << 9 | 1 << 3 | 0b101
    box = struct.pack(">I4sBBHB", 32, b"dvcC", 1, 0, flags, compatibility << 4) + bytes(19)
    at = data.rindex(behind) - 4
    end = at + struct.unpack_from(">I", data, at)[0]
    entry = data.rindex(b"hvc1" if behind == b"hvcC" else b"av01", 0, at)
    for place in [entry, *(data.rindex(name, 0, at) for name in _PARENTS)]:
        size = struct.unpack_from(">I", data, place - 4)[0]
        struct.pack_into(">I", data, place - 4, size + len(box))
    data[end:end] = box
    path.write_bytes(data)
    return path


def hevc(path: Path) -> Path:
    make(path.with_suffix(".tmp.mp4"), Clip(frames=3, codec="libx265", pix_fmt="yuv420p10le"))
    run = ["ffmpeg", "-v", "error", "-i", str(path.with_suffix(".tmp.mp4")), "-c", "copy", "-tag:v", "hvc1", str(path)]
    subprocess.run(run, check=True)
    return path


def test_dolby_vision_with_colours_of_its_own_is_refused(tmp_path: Path) -> None:
    path = with_dolby_vision(hevc(tmp_path / "a.mp4"), profile=5, compatibility=0, behind=b"hvcC")
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream_side_data=dv_profile", "-of", "csv=p=0", str(path)]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "5"
    with pytest.raises(InputUnsupported, match="Dolby Vision profile 5"):
        glance(path)


def test_dolby_vision_of_av1_with_colours_of_its_own_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", Clip(frames=3, codec="libsvtav1", pix_fmt="yuv420p10le"))
    with pytest.raises(InputUnsupported, match="Dolby Vision profile 10"):
        glance(with_dolby_vision(path, profile=10, compatibility=0, behind=b"av1C"))


@pytest.mark.parametrize(("profile", "compatibility"), [(8, 1), (8, 4), (7, 6), (4, 2)])
def test_dolby_vision_over_usual_colours_is_no_reason_to_refuse(
    profile: int, compatibility: int, tmp_path: Path
) -> None:
    path = hevc(tmp_path / "a.mp4")
    before = probe(path).video
    assert probe(with_dolby_vision(path, profile=profile, compatibility=compatibility, behind=b"hvcC")).video == before


def test_a_title_that_speaks_of_dolby_vision_refuses_nothing(tmp_path: Path) -> None:
    words = "\nSide data:\n      DOVI configuration record: version: 1.0, profile: 5, compatibility id: 0"
    path = make(tmp_path / "a.mkv", Clip(frames=3, metadata={"title": words}))
    assert probe(path).video.frames == 3
