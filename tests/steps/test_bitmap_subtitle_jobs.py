"""Whole jobs on sources with subtitles that are pictures: kept where the container holds them, else listed."""

import json
import struct
from pathlib import Path

import pytest

from tests import readers
from tests.readers import ffmpeg, recording
from tests.steps.conftest import Enhance
from tests.steps.test_stream_jobs import done

WIDTH, HEIGHT = 96, 64
BAR = (32, 8)


def segment(kind: int, at: float, data: bytes) -> bytes:
    """Of a Presentation Graphic Stream, as Blu-ray discs have it."""
    return b"PG" + struct.pack(">IIBH", round(at * 90000), 0, kind, len(data)) + data


def pgs(path: Path, *shown: tuple[float, float]) -> Path:
    """White bars, each from one time to another."""
    width, height = BAR
    line = bytes([0, 0x80 | width, 1, 0, 0])  # a run of colour 1, and the end of the line
    picture = struct.pack(">HH", width, height) + line * height
    window = struct.pack(">BBHHHH", 1, 0, 16, 40, width, height)
    data = b""
    for number, (start, end) in enumerate(shown):
        head = struct.pack(">HHBHB", WIDTH, HEIGHT, 0x10, 2 * number, 0x80)
        data += segment(0x16, start, head + struct.pack(">BBBHBBHH", 0, 0, 1, 0, 0, 0, 16, 40))
        data += segment(0x17, start, window) + segment(0x14, start, bytes([0, 0, 1, 235, 128, 128, 255]))
        data += segment(0x15, start, struct.pack(">HBB", 0, 0, 0xC0) + len(picture).to_bytes(3, "big") + picture)
        data += segment(0x80, start, b"")
        head = struct.pack(">HHBHB", WIDTH, HEIGHT, 0x10, 2 * number + 1, 0)
        data += segment(0x16, end, head + bytes(3)) + segment(0x17, end, window) + segment(0x80, end, b"")
    path.write_bytes(data)
    return path


def source(path: Path, codec: str, tmp_path: Path) -> Path:
    bars = pgs(tmp_path / "bars.sup", (0.2, 0.8), (1.0, 1.6))
    plain = recording(tmp_path / "plain.mkv", "-c:a", "mp2")
    if codec == "pgs":
        readers.run("mkvmerge", "-q", "-o", path, plain, bars)
        return path
    return ffmpeg(path, "-i", plain, "-i", bars, "-map", "0", "-map", "1", "-c", "copy", "-c:s", codec)


def subtitles(path: Path) -> list[tuple[float, str]]:
    """Time and bytes of each packet of the subtitles, as ffprobe reads them."""
    told = readers.run("ffprobe", "-v", "error", "-select_streams", "s", "-show_packets", "-show_data_hash", "crc32",
                       "-of", "json", path)  # fmt: skip
    return [(float(packet["pts_time"]), packet["data_hash"]) for packet in json.loads(told)["packets"]]


FILES = {"a.mkv": "pgs", "b.mkv": "dvdsub", "c.ts": "dvbsub"}


@pytest.mark.parametrize("name", FILES)
def test_matroska_keeps_subtitles_that_are_pictures_with_their_bytes_and_times(
    name: str, enhance: Enhance, tmp_path: Path
) -> None:
    path = source(tmp_path / name, FILES[name], tmp_path)
    output, plan = done(enhance, path, "out.mkv")
    assert ("subtitle", "kept", "") in plan
    before, after = subtitles(path), subtitles(output)
    start = float(readers.streams(path)[0]["start_time"]) - float(readers.streams(output)[0]["start_time"])
    assert [data for _, data in after] == [data for _, data in before]
    assert [at + start for at, _ in after] == pytest.approx([at for at, _ in before], abs=0.002)
    assert [track["type"] for track in readers.tracks(output)["tracks"]] == ["video", "audio", "subtitles"]


@pytest.mark.parametrize("name", FILES)
def test_mp4_holds_no_subtitles_that_are_pictures_and_that_is_listed(
    name: str, enhance: Enhance, tmp_path: Path
) -> None:
    output, plan = done(enhance, source(tmp_path / name, FILES[name], tmp_path), "out.mp4")
    assert [fate for kind, fate, _ in plan if kind == "subtitle"] == ["dropped"]
    assert [stream["codec_type"] for stream in readers.streams(output)] == ["video", "audio"]


def test_a_subtitle_that_stands_until_the_next_one_makes_no_film_of_fifty_days(
    enhance: Enhance, tmp_path: Path
) -> None:
    path = source(tmp_path / "a.mkv", "dvdsub", tmp_path)
    assert readers.tracks(path)["container"]["properties"]["duration"] > 50 * 24 * 3600e9 * 0.9
    output, _ = done(enhance, path, "out.mkv")
    assert readers.tracks(output)["container"]["properties"]["duration"] < 3e9


def with_teletext(path: Path) -> Path:
    """The same transport stream, whose table calls its DVB subtitles teletext."""
    data = bytearray(path.read_bytes())
    for start in range(0, len(data), 188):
        at, table = data.find(b"\x59\x08", start, start + 188), data.find(b"\x02\xb0", start, start + 188)
        if at > table > 0:
            end = table + 3 + int.from_bytes(data[table + 1 : table + 3]) % 4096 - 4
            data[at] = 0x56
            data[end : end + 4] = checksum(data[table:end]).to_bytes(4)
    path.write_bytes(data)
    return path


def checksum(data: bytes) -> int:
    """CRC-32 as tables of transport streams have it."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ 0x04C11DB7 * (rest >> 31)) & 0xFFFFFFFF
    return rest


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_teletext_is_listed_by_its_name(suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    path = with_teletext(source(tmp_path / "a.ts", "dvbsub", tmp_path))
    assert "dvb_teletext" in [stream["codec_name"] for stream in readers.streams(path)]
    result = enhance(path, f"out{suffix}", gate=False)
    rows = json.loads(Path(result["manifest"]).read_text())["streams"]
    assert [(row["codec"], row["fate"], row["reason"]) for row in rows if row["type"] == "subtitle"] == [
        ("dvb_teletext", "dropped", "FFmpeg has no decoder for it")
    ]
