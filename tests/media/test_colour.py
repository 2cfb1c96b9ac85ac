"""Colour: pictures that cannot be right without what would be lost."""

import struct
import subprocess
from pathlib import Path

import pytest

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.probe import glance, probe
from tests.clips import Clip, make

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


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
