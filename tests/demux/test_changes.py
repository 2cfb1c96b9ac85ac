"""Where a picture changes in the middle: found, counted, and tried in a rehearsal."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from sr_tasks.media.places import chosen
from sr_tasks.media.probe import probe
from tests.clips import Clip, make
from tests.readers import ffmpeg

PART = 20
RATE = 25


def joined_bytes(folder: Path, encoder: list[str], suffix: str, sizes: list[str]) -> Path:
    """Recordings one behind the other in one file, as `cat` joins them."""
    whole = folder / f"joined{suffix}"
    with whole.open("wb") as target:
        for number, size in enumerate(sizes):
            lavfi = f"testsrc2=s={size}:r={RATE}"
            times = ["-output_ts_offset", number * PART / RATE, "-muxdelay", "0"]
            path = folder / f"{number}{suffix}"
            target.write(ffmpeg(path, "-f", "lavfi", "-i", lavfi, "-frames:v", PART, *encoder, *times).read_bytes())
    return whole


def joined_packets(folder: Path, codec: str, pix_fmts: list[str], sizes: list[tuple[int, int]], suffix: str) -> Path:
    """Packets of several encoders in one stream, as cameras and browsers write them."""
    whole, shown = folder / f"joined{suffix}", 0
    with av.open(str(whole), "w") as target:
        stream = None
        for number, ((width, height), pix_fmt) in enumerate(zip(sizes, pix_fmts, strict=True)):
            clip = Clip(frames=PART, width=width, height=height, codec=codec, pix_fmt=pix_fmt, options={"g": "10"})
            with av.open(str(make(folder / f"{number}{suffix}", clip))) as part:
                stream = stream or target.add_stream_from_template(part.streams.video[0], opaque=True)
                for packet in part.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        packet.pts = packet.dts = round(Fraction(shown, RATE) / packet.time_base)
                        target.mux(packet)
                        shown += 1
    return whole


H264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "10"]
HEVC = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=0:keyint=10"]
SIZES = [(96, 64), (64, 64), (96, 64)]
THREE = ["96x64", "64x64", "96x64"]

SOURCES: dict[str, Callable[[Path], Path]] = {
    "H.264": lambda folder: joined_bytes(folder, H264, ".ts", THREE),
    "HEVC": lambda folder: joined_bytes(folder, HEVC, ".ts", THREE),
    "MPEG-2": lambda folder: joined_bytes(folder, ["-c:v", "mpeg2video", "-bf", "0", "-g", "10"], ".ts", THREE),
    "MJPEG": lambda folder: joined_packets(folder, "mjpeg", ["yuvj420p"] * 3, SIZES, ".mkv"),
    "MJPEG of 4:2:2": lambda folder: joined_packets(
        folder, "mjpeg", ["yuvj420p", "yuvj422p", "yuvj420p"], [SIZES[0]] * 3, ".mkv"
    ),
    "VP8": lambda folder: joined_packets(folder, "libvpx", ["yuv420p"] * 3, SIZES, ".mkv"),
    "VP9": lambda folder: joined_packets(folder, "libvpx-vp9", ["yuv420p"] * 3, SIZES, ".mkv"),
    "AV1": lambda folder: joined_packets(folder, "libsvtav1", ["yuv420p"] * 3, SIZES, ".mkv"),
    "ProRes": lambda folder: joined_packets(folder, "prores_ks", ["yuv422p10le"] * 3, SIZES, ".mov"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_frames_that_had_to_be_fitted_are_counted_and_each_change_is_rehearsed(name: str, tmp_path: Path) -> None:
    path = SOURCES[name](tmp_path)
    media = probe(path, table=tmp_path / "table")
    lost = 1 if name == "MPEG-2" else 0  # a picture that FFmpeg's decoder still holds at a change
    assert media.video.frames == 3 * PART - 2 * lost
    assert {repair.kind: repair.count for repair in media.repairs}["fitted-frames"] == PART - lost
    begun = {
        round(float((place.video.start_pts - media.video.start_pts) * media.video.tick * RATE))
        for place in chosen(path, media, 2, 8)
    }
    assert {PART - lost, 2 * PART - lost} < begun


def test_a_source_without_changes_has_three_places(tmp_path: Path) -> None:
    media = probe(ffmpeg(tmp_path / "a.ts", "-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-frames:v", 60, *H264))
    assert not media.repairs
    assert len(chosen(Path(media.path), media, 2, 8)) == 3


def test_no_more_changes_are_rehearsed_than_asked_for(tmp_path: Path) -> None:
    path = joined_bytes(tmp_path, H264, ".ts", ["96x64", "64x64"] * 3)
    media = probe(path, table=tmp_path / "table")
    assert len(chosen(path, media, 2, 3)) == 3 + 3
