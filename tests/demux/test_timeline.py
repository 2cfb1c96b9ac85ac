"""Sources whose packets do not say what is shown when: what comes out is what another reader of FFmpeg shows."""

import json
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from sr_tasks.media.chunks import plan_chunks
from sr_tasks.media.decode import ChunkReader, whole
from sr_tasks.media.probe import probe
from sr_tasks.records.media import MediaInfo, ReadOptions
from tests.boxes import edited
from tests.mpeg2 import with_repeats

PACKET = 188
"""Bytes of a transport stream packet."""


def ffmpeg(path: Path, *options: str, seconds: float = 1.2, sound: bool = True) -> Path:
    """A clip of 96x64 px at 25 frames a second, made by Debian's ffmpeg."""
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=96x64:r=25:d={seconds}"]
    command += ["-f", "lavfi", "-i", f"sine=440:r=48000:d={seconds}"] if sound else []
    subprocess.run([*command, "-threads", "1", *options, str(path)], check=True)
    return path


def shown(path: Path) -> list[float]:
    """Seconds at which Debian's ffprobe shows frames."""
    return [at for at, _ in frames_of(path)]


def frames_of(path: Path) -> list[tuple[float, str]]:
    """Seconds and kind of each frame, as Debian's ffprobe says."""
    entries = "frame=best_effort_timestamp_time,pict_type"
    command = ["ffprobe", "-v", "quiet", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", str(path)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [(float(frame.get("best_effort_timestamp_time", "nan")), frame["pict_type"]) for frame in told["frames"]]


def looked(path: Path, tmp_path: Path, **options: object) -> MediaInfo:
    return probe(path, options=ReadOptions.model_validate(options), table=tmp_path / "frames.table")


def times(path: Path, media: MediaInfo) -> list[float]:
    frames = ChunkReader(path=path, chunk=whole(media), picture=media.picture).frames()
    return [float(item.pts * media.video.tick) for item in frames]


def kinds(media: MediaInfo) -> dict[str, int]:
    return {repair.kind: repair.count for repair in media.repairs}


def cut(path: Path, start: float, end: float = 1.0) -> Path:
    """A transport stream without its packets outside of these shares, but with its tables."""
    data = path.read_bytes()
    count = len(data) // PACKET
    target = path.with_name(f"cut-{path.name}")
    head = data[: 3 * PACKET] if start else b""
    target.write_bytes(head + data[int(start * count) * PACKET : int(end * count) * PACKET])
    return target


TRANSPORT = {
    "h264": ["-c:v", "libx264", "-g", "8", "-bf", "2", "-c:a", "mp2"],
    "hevc": ["-c:v", "libx265", "-x265-params", "log-level=none:keyint=8:open-gop=1:bframes=2", "-c:a", "aac"],
    "mpeg2": ["-c:v", "mpeg2video", "-g", "8", "-bf", "2", "-c:a", "mp2"],
}


@pytest.mark.parametrize("name", TRANSPORT)
def test_a_capture_begins_with_the_first_picture_that_decodes(name: str, tmp_path: Path) -> None:
    source = cut(ffmpeg(tmp_path / "a.ts", *TRANSPORT[name]), 0.25)
    media = looked(source, tmp_path)
    frames = frames_of(source)  # of HEVC, those before the first intra picture too, with holes in them
    start = next(at for at, kind in frames if kind == "I")
    expected = [at for at, _ in frames if at >= start]
    assert times(source, media) == pytest.approx(expected)
    assert media.video.frames == len(expected) > 10
    assert kinds(media)["lead-in"] > 0
    assert all(
        item.is_repeat is False for item in ChunkReader(path=source, chunk=whole(media), picture=media.picture).frames()
    )


@pytest.mark.parametrize("name", TRANSPORT)
def test_joined_recordings_go_on_and_sound_with_them(name: str, tmp_path: Path) -> None:
    one = ffmpeg(tmp_path / "a.ts", *TRANSPORT[name])
    source = tmp_path / "joined.ts"
    source.write_bytes(one.read_bytes() * 3)
    media = looked(source, tmp_path)
    stamps = times(source, media)
    assert len(stamps) == len(shown(source)) == 3 * 30
    steps = [later - earlier for earlier, later in pairwise(stamps)]
    assert min(steps) == pytest.approx(0.04, abs=1e-4)
    assert max(steps) < 0.15
    assert kinds(media)["jumping-times"] == 2
    assert len(media.picture.clock) == 3


def test_times_that_jump_far_ahead_go_on_without_the_gap(tmp_path: Path) -> None:
    one = ffmpeg(tmp_path / "a.ts", *TRANSPORT["h264"])
    far = ffmpeg(tmp_path / "b.ts", *TRANSPORT["h264"], "-output_ts_offset", "500")
    for order in ((one, far), (far, one)):
        source = tmp_path / "jump.ts"
        source.write_bytes(b"".join(path.read_bytes() for path in order))
        stamps = times(source, looked(source, tmp_path))
        assert len(stamps) == 60
        assert stamps[-1] - stamps[0] < 2.6


@pytest.mark.parametrize("name", TRANSPORT)
def test_a_wrapped_clock_goes_on(name: str, tmp_path: Path) -> None:
    source = ffmpeg(tmp_path / "wrap.ts", *TRANSPORT[name], "-output_ts_offset", str(2**33 / 90000 - 1.9))
    stamps = times(source, looked(source, tmp_path))
    assert [later - earlier for earlier, later in pairwise(stamps)] == pytest.approx([0.04] * 29)


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("raw.h264", ["-c:v", "libx264", "-bf", "2", "-r", "30"], "30"),
        ("raw.hevc", ["-c:v", "libx265", "-x265-params", "log-level=none", "-r", "24000/1001"], "24000/1001"),
        ("raw.m2v", ["-c:v", "mpeg2video", "-bf", "2", "-r", "30000/1001"], "30000/1001"),
        ("raw.mjpeg", ["-c:v", "mjpeg"], "25"),
        ("raw.m4v", ["-c:v", "mpeg4", "-bf", "2", "-f", "m4v"], "25"),
        ("raw.obu", ["-c:v", "libaom-av1", "-cpu-used", "8"], "25"),
    ],
)  # fmt: skip
def test_an_elementary_stream_is_read_at_the_rate_that_its_headers_or_a_wish_say(
    name: str, options: list[str], rate: str, tmp_path: Path
) -> None:
    source = ffmpeg(tmp_path / name, *options, seconds=0.6, sound=False)
    media = looked(source, tmp_path)
    count = len(shown(source))
    assert media.video.frames == count > 10
    assert Fraction(media.video.average_rate) == Fraction(rate)
    assert times(source, media) == pytest.approx([n / float(Fraction(rate)) for n in range(count)])
    asked = looked(source, tmp_path, fps="50")
    assert times(source, asked) == pytest.approx([n / 50 for n in range(count)])
    assert kinds(asked) == kinds(media) == {"no-times": 1}


REPEATED = {"two fields and three": (0, 1), "every frame three fields": (1, 1), "one of four": (0, 0, 0, 1)}
"""Whether each of some frames is shown for a field more, over and over."""


@pytest.mark.parametrize("name", REPEATED)
def test_film_in_a_raw_mpeg2_stream_has_the_times_that_another_reader_gives_it(name: str, tmp_path: Path) -> None:
    coded = ["-c:v", "mpeg2video", "-bf", "2", "-flags", "+ildct+ilme", "-r", "30000/1001"]
    source = with_repeats(ffmpeg(tmp_path / "raw.m2v", *coded, seconds=0.8, sound=False), REPEATED[name])
    remuxed = tmp_path / "remuxed.mkv"
    subprocess.run(["mkvmerge", "-q", "-o", remuxed, source], check=True)
    expected, media = shown(remuxed), looked(source, tmp_path)
    stamps = times(source, media)
    assert len(stamps) == len(expected) > 20
    assert [stamp - stamps[0] for stamp in stamps] == pytest.approx([at - expected[0] for at in expected], abs=0.0015)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.y4m", []),
        ("a.gif", []),
        ("a.apng", []),
        ("a.ivf", ["-c:v", "libaom-av1", "-cpu-used", "8"]),
        ("a.ogv", ["-c:v", "libtheora"]),
        ("a.mxf", ["-c:v", "mpeg2video"]),
        ("a.rm", ["-c:v", "rv10", "-s", "176x144"]),
        ("a.roq", ["-c:v", "roqvideo", "-s", "160x128", "-r", "30"]),
        ("a.mpg", ["-c:v", "mpeg2video", "-bf", "2"]),
    ],
)  # fmt: skip
def test_containers_of_all_kinds_come_out_frame_for_frame(name: str, options: list[str], tmp_path: Path) -> None:
    source = ffmpeg(tmp_path / name, *options, seconds=0.6, sound=False)
    media = looked(source, tmp_path)
    expected = shown(source)
    stamps = times(source, media)
    assert [stamp - stamps[0] for stamp in stamps] == pytest.approx([at - expected[0] for at in expected], abs=0.002)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "msmpeg4v3"])
def test_avi_shows_its_frames_in_the_order_of_their_numbers(codec: str, tmp_path: Path) -> None:
    bframes = [] if codec == "msmpeg4v3" else ["-bf", "2"]
    source = ffmpeg(tmp_path / "a.avi", "-c:v", codec, *bframes, seconds=0.6, sound=False)
    stamps = times(source, looked(source, tmp_path))
    assert len(stamps) == len(shown(source)) == 15
    assert [later - earlier for earlier, later in pairwise(stamps)] == pytest.approx([0.04] * 14)


@pytest.mark.parametrize("target", [1, 8, 100])
def test_chunks_of_a_table_hold_what_the_whole_holds(target: int, tmp_path: Path) -> None:
    source = cut(ffmpeg(tmp_path / "a.ts", *TRANSPORT["h264"], seconds=2), 0.2)
    media = looked(source, tmp_path)
    chunks = plan_chunks(source, target_frames=target, total_frames=media.video.frames, picture=media.picture)
    assert (len(chunks) > 2) == (target < 100)
    all_frames = [
        (item.pts, item.frame.to_ndarray().tobytes())
        for chunk in chunks
        for item in ChunkReader(path=source, chunk=chunk, picture=media.picture).frames()
    ]
    one = ChunkReader(path=source, chunk=whole(media), picture=media.picture)
    assert all_frames == [(item.pts, item.frame.to_ndarray().tobytes()) for item in one.frames()]


EDITS = {
    "begins late": [(1500, 7424)],
    "the middle is cut": [(480, 1024), (480, 16384)],
    "the end comes first": [(800, 13824), (800, 1024)],
    "nothing first, then a cut": [(400, -1), (600, 1024), (800, 16384)],
}
"""At 12800 ticks a second, of which the first frame is shown at 1024."""


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_an_edit_list_is_followed_as_players_do(edits: list[tuple[int, int]], tmp_path: Path) -> None:
    coding = ("-c:v", "libx264", "-bf", "2", "-g", "50", "-c:a", "aac", "-video_track_timescale", "12800")
    source = edited(ffmpeg(tmp_path / "plain.mp4", *coding, seconds=2), tmp_path / "in.mp4", {0: edits})
    media = looked(source, tmp_path)
    assert len(shown(source)) == media.video.frames
    with av.open(str(source)) as container:
        expected = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert times(source, media) == pytest.approx(expected)
    assert media.video.frames < 50
    assert kinds(media)["hidden-frames"] > 0


@pytest.mark.parametrize(("program", "index"), [(None, 0), (1, 0), (2, 2)])
def test_the_programme_asked_for_is_read(program: int | None, index: int, tmp_path: Path) -> None:
    maps = [part for stream in ("0:v", "1:a", "0:v", "1:a") for part in ("-map", stream)]
    programs = ["-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3"]
    source = ffmpeg(tmp_path / "two.ts", *maps, "-c:v", "libx264", "-c:a", "mp2", *programs)
    assert looked(source, tmp_path, program=program).video.index == index
