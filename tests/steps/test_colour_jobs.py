"""Colour through whole jobs: what a source says and leaves unsaid is what its output says, by ffprobe's reading."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.records.codecs import CODECS
from tests import readers
from tests.clips import Clip, make
from tests.readers import ffmpeg
from tests.steps.conftest import Enhance

UNSAID: dict[str, Any] = {"color_range": 0, "color_primaries": 2, "color_trc": 2, "colorspace": 2}
TAGS = ("color_range", "color_primaries", "color_transfer", "color_space")
SOURCES = {
    "h264": (".mp4", "libx264", "yuv420p"),
    "hevc": (".mp4", "libx265", "yuv420p"),
    "ffv1": (".mkv", "ffv1", "yuv420p"),
    "av1": (".mp4", "libsvtav1", "yuv420p"),
    "vp9": (".mp4", "libvpx-vp9", "yuv420p"),
    "prores": (".mov", "prores_ks", "yuv422p10le"),
}
PARTS: dict[str, dict[str, int]] = {
    "nothing": {},
    "all": {"color_range": 1, "color_primaries": 9, "color_trc": 18, "colorspace": 9},
    "full range": {"color_range": 2},
    "matrix": {"colorspace": 6},
    "primaries": {"color_primaries": 1},
    "transfer": {"color_trc": 13},
}


def tags(path: Path) -> dict[str, str]:
    """The colour tags of the first video stream, as Debian's ffprobe reads them; what it does not know is left out."""
    asked = ["-select_streams", "v:0", "-show_entries", f"stream={','.join(TAGS)}", "-of", "default=nw=1"]
    text = subprocess.run(["ffprobe", "-v", "error", *asked, str(path)], capture_output=True, text=True, check=True)
    pairs = (line.split("=", 1) for line in text.stdout.splitlines())
    return {name: value for name, value in pairs if value not in ("unknown", "N/A")}


def meaning(path: Path) -> dict[str, str]:
    """The same, with the range that unsaid YUV has."""
    return {"color_range": "tv"} | tags(path)


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("source_codec", list(SOURCES))
def test_an_untagged_source_passes_and_gets_no_tags(
    source_codec: str, codec: str, enhance: Enhance, tmp_path: Path
) -> None:
    suffix, encoder, pix_fmt = SOURCES[source_codec]
    source = make(
        tmp_path / f"clip{suffix}",
        Clip(frames=3, width=64, height=48, codec=encoder, pix_fmt=pix_fmt, **UNSAID),
    )
    output = Path(enhance(source, f"out{CODECS[codec].suffix}", codec=codec)["output"])
    assert meaning(output) == meaning(source) == {"color_range": "tv"}


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h264", ".mp4"),
        ("h264", ".mkv"),
        ("hevc", ".mov"),
        ("hevc", ".mkv"),
        ("ffv1", ".mkv"),
        ("av1", ".mp4"),
        ("vp9", ".webm"),
        ("prores", ".mov"),
    ],
)
def test_a_partly_tagged_source_keeps_what_it_says(
    part: str, codec: str, suffix: str, enhance: Enhance, tmp_path: Path
) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=3, width=64, height=48, **UNSAID | PARTS[part]))
    output = Path(enhance(source, f"out{suffix}", codec=codec)["output"])
    limited = {"color_range": "tv"} if codec == "prores" else {}  # every reader takes it for that
    assert meaning(output) == meaning(source) | limited
    assert len(meaning(source)) == len({"color_range"} | set(PARTS[part]))


_DISPLAY = {
    "red_x": 0.68, "red_y": 0.32, "green_x": 0.265, "green_y": 0.69, "blue_x": 0.15, "blue_y": 0.06,
    "white_point_x": 0.3127, "white_point_y": 0.329, "min_luminance": 0.005, "max_luminance": 1000.0,
}  # fmt: skip
_LIGHT = {"max_content": 900.0, "max_average": 300.0}


def stated(path: Path) -> dict[str, float]:
    """The static HDR metadata that the container states, as Debian's ffprobe reads it."""
    asked = ["-select_streams", "v:0", "-show_entries", "stream_side_data", "-of", "default=nw=1"]
    text = subprocess.run(["ffprobe", "-v", "error", *asked, str(path)], capture_output=True, text=True, check=True)
    pairs = (line.split("=", 1) for line in text.stdout.splitlines() if "=" in line)
    return {name: float(Fraction(value)) for name, value in pairs if name in _DISPLAY | _LIGHT}


def hdr_source(folder: Path) -> Path:
    """HDR10 whose static metadata are in the container alone."""
    plain = make(
        folder / "plain.mkv",
        Clip(
            frames=6, width=64, height=48, codec="ffv1", pix_fmt="yuv420p10le",
            color_range=1, color_primaries=9, color_trc=16, colorspace=9,
        ),
    )  # fmt: skip
    path = folder / "hdr.mkv"
    names = ("red_x", "red_y", "green_x", "green_y", "blue_x", "blue_y")
    chroma = ",".join(str(_DISPLAY[name]) for name in names)
    white = f"{_DISPLAY['white_point_x']},{_DISPLAY['white_point_y']}"
    options = {
        "--chromaticity-coordinates": chroma,
        "--white-colour-coordinates": white,
        "--max-luminance": _DISPLAY["max_luminance"],
        "--min-luminance": _DISPLAY["min_luminance"],
        "--max-content-light": int(_LIGHT["max_content"]),
        "--max-frame-light": int(_LIGHT["max_average"]),
    }
    flags = [part for name, value in options.items() for part in (name, f"0:{value}")]
    subprocess.run(["mkvmerge", "-q", "-o", str(path), *flags, str(plain)], check=True)
    return path


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mov"), ("hevc", ".mkv"), ("av1", ".mp4"), ("av1", ".webm"),
        ("vp9", ".webm"), ("prores", ".mov"), ("ffv1", ".mkv"),
    ],
)  # fmt: skip
def test_hdr_metadata_of_the_container_are_stated_by_the_outputs_container(
    codec: str, suffix: str, enhance: Enhance, tmp_path: Path
) -> None:
    source = hdr_source(tmp_path)
    assert stated(source) == pytest.approx(_DISPLAY | _LIGHT, rel=1e-6)
    output = Path(enhance(source, f"out{suffix}", codec=codec)["output"])
    assert stated(output) == pytest.approx(_DISPLAY | _LIGHT, rel=1e-6)
    assert tags(output)["color_transfer"] == "smpte2084"


def chroma_location(path: Path) -> str:
    """Where chroma lies, as Debian's ffprobe reads it."""
    asked = ["-select_streams", "v:0", "-show_entries", "stream=chroma_location", "-of", "csv=p=0"]
    return subprocess.run(
        ["ffprobe", "-v", "error", *asked, str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("h264", ".mp4"), ("hevc", ".mkv"), ("av1", ".mkv"), ("vp9", ".webm"), ("vp9", ".mkv"), ("ffv1", ".mkv")],
)
def test_where_chroma_lies_is_said_by_the_codec_or_the_container(
    codec: str, suffix: str, location: str, enhance: Enhance, tmp_path: Path
) -> None:
    options = {"x264-params": f"chromaloc={('left', 'center', 'topleft').index(location)}"}
    source = make(tmp_path / "clip.mp4", Clip(frames=3, width=64, height=48, options=options))
    assert chroma_location(source) == location
    output = Path(enhance(source, f"out{suffix}", codec=codec, strict=True)["output"])
    assert chroma_location(output) == location


@pytest.mark.parametrize(("codec", "suffix", "number"), [("av1", ".mp4", 1), ("vp9", ".mp4", 1), ("ffv1", ".mkv", 5)])
def test_a_place_of_chroma_that_nothing_says_is_listed(
    codec: str, suffix: str, number: int, enhance: Enhance, tmp_path: Path
) -> None:
    options = {"x264-params": f"chromaloc={number}"}
    source = make(tmp_path / "clip.mp4", Clip(frames=3, width=64, height=48, options=options))
    rows = json.loads(Path(enhance(source, f"out{suffix}", codec=codec)["manifest"]).read_text())["streams"]
    assert [(row["codec"], row["fate"]) for row in rows[1:]] == [("chroma location", "dropped")]


def test_what_the_pictures_say_counts_where_the_container_says_otherwise(enhance: Enhance, tmp_path: Path) -> None:
    whole = make(tmp_path / "whole.mp4", Clip(frames=12, width=64, height=48))
    other = "-color_primaries bt2020 -colorspace bt2020nc -color_trc smpte2084 -color_range pc"
    source = ffmpeg(tmp_path / "clip.mkv", "-i", whole, "-c", "copy", *other.split())
    result = enhance(source)
    assert tags(Path(result["output"])) == tags(whole)
    repairs = json.loads(Path(result["manifest"]).read_text())["source"]["probe"]["repairs"]
    told = {repair["kind"]: repair for repair in repairs}["contradicting-tags"]
    assert told["count"] == 4
    assert "matrix BT2020" in told["what"]
    assert told["what"] in Path(result["report"]).read_text()


def bits(*fields: tuple[int, int] | int) -> bytes:
    """Length and value of each field; a value alone is in the code of Golomb."""
    text = ""
    for field in fields:
        if isinstance(field, int):
            text += f"{field + 1:b}".rjust(2 * (field + 1).bit_length() - 1, "0")
        else:
            text += f"{field[1]:0{field[0]}b}"
    text = text.ljust(-(-len(text) // 8) * 8, "0")
    return int(text, 2).to_bytes(len(text) // 8, "big")


def escaped(data: bytes) -> bytes:
    """As it stands in a NAL unit, where three bytes in a row may not look like the beginning of another one."""
    made = bytearray()
    for byte in data:
        made += b"\3" * (byte < 4 and made[-2:] == b"\0\0") + bytes([byte])
    return bytes(made)


def hdr10_plus() -> bytes:
    """One window of SMPTE ST 2094-40, in a NAL unit of SEI."""
    window = bits((8, 1), (2, 1), (27, 400), (1, 0), (17, 9000), (17, 9000), (17, 9000), (17, 500), (4, 0), (10, 0),
                  (3, 0))  # fmt: skip
    payload = bytes([0xB5, 0, 0x3C, 0, 1, 4]) + window
    return bytes([39 << 1, 1]) + escaped(bytes([4, len(payload)]) + payload + b"\x80")


def dolby_vision() -> bytes:
    """A reference processing unit that maps each plane to itself, in a NAL unit of its own."""
    head = ((8, 25), (6, 2), (11, 0), (8, 16), (1, 1), (1, 0), (2, 0), 23, (2, 1), (1, 0), 2, 2, 4, (5, 0), (1, 1))
    pivots = (0, (10, 0), (10, 1023)) * 3
    curves = (0, 0, (1, 0), 0, (23, 0), 2, (23, 0)) * 3
    unit = bits(*head, (1, 0), (1, 0), 0, 0, 0, *pivots, 0, 0, *curves)
    return bytes([62 << 1, 1]) + escaped(unit + bytes(4) + b"\x80")


DYNAMIC = {
    "HDR10+ dynamic metadata": ("HDR Dynamic Metadata SMPTE2094-40", hdr10_plus(), False),
    "Dolby Vision metadata": ("Dolby Vision RPU Data", dolby_vision(), True),
}
"""Name in the plan -> ffprobe's name, the NAL unit, and whether it is behind the picture's own."""


def dynamic(path: Path, unit: bytes, *, is_behind: bool) -> Path:
    """HEVC whose pictures have a NAL unit more each."""
    size = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.4", "-pix_fmt", "yuv420p10le"]
    colours = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:repeat-headers=1:bframes=0"
    raw = readers.ffmpeg(path.with_suffix(".hevc"), *size, "-c:v", "libx265", "-x265-params", colours)
    units = raw.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    made = b""
    for one in units:
        whole = b"\0\0\0\1" + one
        is_picture = one[0] >> 1 < 32
        more = b"\0\0\0\1" + unit if is_picture else b""
        made += whole + more if is_behind else more + whole
    raw.write_bytes(made)
    return readers.ffmpeg(path, "-r", "25", "-i", raw, "-c", "copy")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_metadata_are_listed_as_dropped_or_refused(name: str, suffix: str, tmp_path: Path, run: Any) -> None:
    said, unit, is_behind = DYNAMIC[name]
    path = dynamic(tmp_path / f"a{suffix}", unit, is_behind=is_behind)
    asked = ("ffprobe", "-v", "error", "-show_frames", "-of", "json")
    assert said in readers.run(*asked, path).decode()
    output, answer = run(path, "--codec", "hevc", suffix=suffix)
    assert answer["status"] == "COMPLETED", answer
    assert said not in readers.run(*asked, output).decode()
    rows = json.loads(Path(f"{output}.manifest.json").read_text())["streams"]
    assert [(row["codec"], row["fate"]) for row in rows if row["type"] == "side data"] == [(name, "dropped")]
    _, answer = run(path, "--codec", "hevc", "--strict", suffix=suffix)
    assert answer["error"]["code"] == "INPUT_UNSUPPORTED"
    assert name in answer["error"]["message"]
