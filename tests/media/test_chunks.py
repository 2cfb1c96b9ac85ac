"""Chunks cover every frame once, and decode to the same pictures as the whole file does."""

import contextlib
import hashlib
from fractions import Fraction
from pathlib import Path

import av
import pytest

from sr_tasks.errors import InputChanged
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.probe import probe
from tests.clips import Clip, make, wipe_packet

SHORT_GOP = {"g": "8"}
CODECS = {
    "h264": (".mp4", Clip(frames=40, options={"g": "8", "bf": "2", "sc_threshold": "0"})),
    "h264 open GOP": (".mkv", Clip(frames=40, options={"x264-params": "open-gop=1:keyint=8:bframes=3:scenecut=0"})),
    "hevc open GOP": (
        ".mkv",
        Clip(
            frames=40, codec="libx265", options={"x265-params": "open-gop=1:keyint=8:bframes=3:log-level=error:pools=1"}
        ),
    ),
    "hevc 10 bit": (
        ".mp4",
        Clip(
            frames=24,
            codec="libx265",
            pix_fmt="yuv420p10le",
            options={"x265-params": "keyint=8:log-level=error:pools=1"},
        ),
    ),
    "mpeg2": (".mkv", Clip(frames=40, codec="mpeg2video", options={"g": "6", "bf": "2"})),
    "mpeg2 in ts": (".ts", Clip(frames=40, codec="mpeg2video", options={"g": "6", "bf": "2"})),
    "h264 in ts": (".ts", Clip(frames=40, options={"g": "8", "bf": "2"})),
    "mpeg4": (".mp4", Clip(frames=40, codec="mpeg4", options={"g": "8", "bf": "2"})),
    "mpeg4 in avi": (".avi", Clip(frames=40, codec="mpeg4", options={"g": "8", "bf": "0"})),
    "mpeg4 with b-frames in avi": (".avi", Clip(frames=40, codec="mpeg4", options={"g": "8", "bf": "2"})),
    "vp9": (".webm", Clip(frames=40, codec="libvpx-vp9", options={"g": "8", "cpu-used": "8", "deadline": "realtime"})),
    "av1": (".mkv", Clip(frames=24, codec="libsvtav1", options={"g": "8", "preset": "12"})),
    "ffv1": (".mkv", Clip(frames=20, codec="ffv1")),
    "variable frame rate": (
        ".mp4",
        Clip(
            frames=30,
            time_base=Fraction(1, 90_000),
            pts=[n * 3003 + (n * n * 37) % 2900 for n in range(30)],
            options={"g": "7", "bf": "2", "sc_threshold": "0"},
        ),
    ),
}


@pytest.mark.parametrize("name", CODECS)
def test_chunks_hold_every_frame_once_and_decode_like_the_whole_file(name: str, tmp_path: Path) -> None:
    suffix, clip = CODECS[name]
    path = make(tmp_path / f"clip{suffix}", clip)
    whole = decoded_whole(path)
    for target in (1, 9, 17, 1000):
        chunks = plan_chunks(path, target_frames=target, total_frames=len(whole))
        pairs = [
            (item.pts, digest(item.frame)) for chunk in chunks for item in ChunkReader(path=path, chunk=chunk).frames()
        ]
        assert pairs == whole
        assert all(chunk.frames >= target for chunk in chunks[:-1])
        assert [chunk.end_pts for chunk in chunks[:-1]] == [chunk.start_pts for chunk in chunks[1:]]
    assert probe(path).video.frames == len(whole) == clip.frames


def test_a_source_replaced_after_planning_is_noticed(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", frames=20)
    chunk = plan_chunks(path, target_frames=100, total_frames=20)[0]
    make(path, frames=19)
    with pytest.raises(InputChanged):
        list(ChunkReader(path=path, chunk=chunk).frames())


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"g": "12"}), ("mpeg4", {"g": "12"}), ("libx265", {})])
def test_damage_in_the_middle_keeps_every_time_stamp_and_is_counted(
    codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = make(tmp_path / "clip.mp4", Clip(frames=60, codec=codec, options=options, noise=8))
    stamps = [pts for pts, _ in decoded_whole(path)]
    wipe_packet(path, 31)
    reader = ChunkReader(path=path, chunk=plan_chunks(path, target_frames=1000, total_frames=60)[0])
    items = list(reader.frames())
    assert [item.pts for item in items] == stamps
    assert reader.damaged_pts == [item.pts for item in items if item.is_repeat]
    assert set(reader.damaged_pts) == set(stamps) - decodable(path)


def test_a_stream_that_begins_with_damage_starts_with_the_first_frame_that_decodes(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", Clip(frames=30, codec="mpeg4", options={"g": "5"}, noise=8))
    stamps = [pts for pts, _ in decoded_whole(path)]
    wipe_packet(path, 0)
    chunk = plan_chunks(path, target_frames=1000, total_frames=30)[0]
    reader = ChunkReader(path=path, chunk=chunk)
    assert [item.pts for item in reader.frames()] == stamps


def decoded_whole(path: Path) -> list[tuple[int, str]]:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        return [(frame.pts, digest(frame)) for frame in container.decode(video=0)]


def decodable(path: Path) -> set[int]:
    found: set[int] = set()
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        for packet in container.demux(video=0):
            with contextlib.suppress(av.error.InvalidDataError):
                found.update(frame.pts for frame in packet.decode())
    return found


def digest(frame: av.VideoFrame) -> str:
    return hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest()
