"""Whole jobs on sources with closed captions inside the picture: ffmpeg reads the same text from the output."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import readers
from tests.steps.conftest import Enhance

POP_ON, CLEAR, ROW_15, SHOW, HIDE = (0x14, 0x20), (0x14, 0x2E), (0x14, 0x70), (0x14, 0x2F), (0x14, 0x2C)


def line_21() -> list[tuple[int, int]]:
    """Pairs of CEA-608, one for each frame: three lines of text, each shown and taken away again."""
    pairs: list[tuple[int, int]] = []
    for text in ("CAPTIONS", "STAY IN STEP", "TO THE END"):
        letters = text.encode() + b" " * (len(text) % 2)
        pairs += [POP_ON, POP_ON, CLEAR, CLEAR, ROW_15, ROW_15]
        pairs += [(letters[at], letters[at + 1]) for at in range(0, len(letters), 2)]
        pairs += [SHOW, SHOW, (0, 0), (0, 0), (0, 0), HIDE, HIDE]
    return pairs


def odd(code: int) -> int:
    return code | 0x80 if code.bit_count() % 2 == 0 else code


def captioned(path: Path, *options: str) -> Path:
    """MPEG-2 with the captions in its user data (ATSC A/53, part 4, 6.2), as broadcasts have them."""
    pairs = line_21()
    lavfi = f"testsrc2=s=64x48:r=30:d={len(pairs) / 30}"
    plain = readers.ffmpeg(path.with_suffix(".m2v"), "-f", "lavfi", "-i", lavfi, "-c:v", "mpeg2video", "-bf", "0",
                           "-q:v", "3", *options)  # fmt: skip
    pictures = re.split(rb"(?=\x00\x00\x01\x00)", plain.read_bytes())
    written = pictures[0]
    for picture, (one, two) in zip(pictures[1:], pairs, strict=True):
        user_data = b"\0\0\1\xb2GA94\3" + bytes([0xC1, 0xFF, 0xFC, odd(one), odd(two), 0xFF])
        first_slice = picture.index(b"\0\0\1\1")
        written += picture[:first_slice] + user_data + picture[first_slice:]
    plain.write_bytes(written)
    return readers.ffmpeg(path, "-fflags", "+genpts", "-r", "30", "-i", plain, "-c", "copy")


def text(path: Path) -> list[tuple[int, str]]:
    """The captions as ffmpeg finds them in the picture: tenths of a second at which each is shown, and its letters."""
    found = readers.run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"movie={path}[out0+subcc]", "-map", "0:s", "-f",
                        "srt", "-")  # fmt: skip
    shown = re.findall(r"(\d+),(\d)\d+ --> .*\n(?:<[^>]*>|\{.*?\})*([A-Z ]+)", found.decode().replace("\r", ""))
    return [(int(second) * 10 + int(tenth), letters) for second, tenth, letters in shown]


def rows(result: dict[str, Any]) -> list[tuple[str, str]]:
    streams = json.loads(Path(result["manifest"]).read_text())["streams"]
    return [(row["codec"], row["fate"]) for row in streams if row["type"] == "side data"]


SOURCES = {
    "transport stream": ("a.ts", ()),
    "matroska": ("a.mkv", ()),
    "interlaced": ("a.mpg", ("-flags", "+ildct+ilme", "-top", "1")),
}


@pytest.mark.parametrize(("codec", "suffix"), [("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mp4"), ("hevc", ".mkv")])
@pytest.mark.parametrize("name", SOURCES)
def test_captions_inside_the_picture_stay_in_it(
    name: str, codec: str, suffix: str, tmp_path: Path, enhance: Enhance
) -> None:
    file, options = SOURCES[name]
    source = captioned(tmp_path / file, *options)
    wanted = text(source)
    assert [letters for _, letters in wanted] == ["CAPTIONS", "STAY IN STEP", "TO THE END"]
    result = enhance(source, f"out{suffix}", codec=codec, preset="veryfast", gate=False)  # with B-frames
    assert text(Path(result["output"])) == wanted
    assert rows(result) == [("closed captions inside the picture stream", "kept")]


def test_captions_are_carried_a_second_time(tmp_path: Path, enhance: Enhance) -> None:
    source = captioned(tmp_path / "a.ts")
    first = Path(enhance(source, "first.mp4", codec="hevc", preset="veryfast", gate=False)["output"])
    second = Path(enhance(first, "second.mp4", codec="h264", preset="veryfast", gate=False)["output"])
    assert text(second) == text(first)
    assert len(text(second)) == 3


@pytest.mark.parametrize(("codec", "suffix"), [("av1", ".mp4"), ("vp9", ".webm"), ("ffv1", ".mkv"), ("prores", ".mov")])
def test_captions_that_a_codec_does_not_carry_are_listed(
    codec: str, suffix: str, tmp_path: Path, enhance: Enhance
) -> None:
    result = enhance(captioned(tmp_path / "a.ts"), f"out{suffix}", codec=codec, gate=False)
    assert rows(result)[0] == ("closed captions inside the picture stream", "dropped")


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_captions_stay_where_a_rate_is_asked_for(codec: str, tmp_path: Path, enhance: Enhance) -> None:
    source = captioned(tmp_path / "a.ts")
    result = enhance(source, "out.mp4", codec=codec, bitrate="300k", gate=False)
    assert text(Path(result["output"])) == text(source)
    assert rows(result) == [("closed captions inside the picture stream", "kept")]
