"""Fields that are coded as pictures of their own make frames in any container; frames of two fields stay frames."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sr_tasks.errors import InputUnsupported
from sr_tasks.media.decode import ChunkReader, whole
from sr_tasks.media.field_plan import with_fields
from sr_tasks.media.probe import probe
from tests.field_coding import FIELDS, FRAME, ONE_FIELD, coded
from tests.interlaced import Frames, comb, interlaced, panned, write
from tests.mpeg2 import with_field_pictures
from tests.readers import ffmpeg, run

CODINGS = {
    "fields": [FIELDS] * 24,
    "frames first": [FRAME] * 12 + [FIELDS] * 12,
    "fields first": [FIELDS] * 11 + [FRAME] * 13,
    "a lost field": [FIELDS] * 13 + [ONE_FIELD] + [FIELDS] * 10,
}
CONTAINERS = ("h264", "mkv", "mp4", "ts")


def shown(path: Path) -> list[float | None]:
    """When Debian's ffprobe shows frames. None: it does not say."""
    entries = ("-show_entries", "frame=best_effort_timestamp_time", "-of", "json")
    told = json.loads(run("ffprobe", "-v", "quiet", "-select_streams", "v:0", *entries, path))["frames"]
    return [float(f["best_effort_timestamp_time"]) if "best_effort_timestamp_time" in f else None for f in told]


def packets(path: Path) -> int:
    return len(run("ffprobe", "-v", "quiet", "-show_entries", "packet=size", "-of", "csv=p=0", path).split())


def written(folder: Path, container: str, kinds: list[str], order: str = "tff") -> tuple[Path, Frames]:
    frames = interlaced(panned(2 * len(kinds), 1.5), order)
    raw, joined, target = folder / "raw.h264", folder / "raw.mkv", folder / f"in.{container}"
    raw.write_bytes(coded(frames, kinds, order))
    run("mkvmerge", "-q", "-o", joined, raw)
    if container == "h264":
        return raw, frames
    return (joined if container == "mkv" else ffmpeg(target, "-i", joined, "-c", "copy")), frames


@pytest.mark.parametrize("kinds", CODINGS.values(), ids=CODINGS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_fields_coded_as_pictures_make_frames(container: str, kinds: list[str], tmp_path: Path) -> None:
    source, combed = written(tmp_path, container, kinds)
    media = with_fields(source, probe(source, table=tmp_path / "frames.table"), "single")
    expected = shown(source)
    assert packets(source) > len(expected)
    items = list(ChunkReader(path=source, chunk=whole(media), picture=media.picture).frames())
    assert len(items) == media.video.frames == len(expected) >= len(kinds) - 1
    assert not any(item.is_repeat for item in items)
    if None not in expected:
        assert [float(item.pts * media.video.tick) for item in items] == pytest.approx(expected, abs=0.002)
    assert media.picture.deinterlace == "single"
    found = [item.frame.to_ndarray(format="gray") for item in items[1:-1]]
    assert np.mean([comb(frame) for frame in found]) < 0.5 * np.mean([comb(frame) for frame in combed])


@pytest.mark.parametrize("container", ["m2v", "mkv", "ts", "vob"])
def test_fields_of_mpeg2_coded_as_pictures_make_frames(container: str, tmp_path: Path) -> None:
    fields = panned(48, 3)
    halves = [frame[number % 2 :: 2] for number, frame in enumerate(fields)]
    coding = {"g": "1", "qscale": "2", "flags": "+qscale", "global_quality": "236"}
    raw = with_field_pictures(write(tmp_path / "raw.m2v", halves, "mpeg2video", coding, rate=Fraction(50)))
    joined, source = tmp_path / "raw.mkv", tmp_path / f"in.{container}"
    run("mkvmerge", "-q", "-o", joined, raw)
    if container == "m2v":
        source = raw
    else:
        ffmpeg(source, "-fflags", "+genpts", "-i", joined, "-c", "copy")
    media = with_fields(source, probe(source, table=tmp_path / "frames.table"), "single")
    items = list(ChunkReader(path=source, chunk=whole(media), picture=media.picture).frames())
    assert len(items) == media.video.frames == len(shown(source)) == 24
    assert (media.video.width, media.video.height) == (fields[0].shape[1], fields[0].shape[0])
    assert not any(item.is_repeat for item in items)
    assert (media.picture.deinterlace, media.picture.field_order) == ("single", "tff")
    found = [item.frame.to_ndarray(format="gray")[: fields[0].shape[0]] for item in items[1:-1]]
    combed = interlaced(fields, "tff")[1:-1]
    assert np.mean([comb(frame) for frame in found]) < 0.5 * np.mean([comb(frame) for frame in combed])


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_frames_of_two_fields_are_read_as_their_packets_say(container: str, tmp_path: Path) -> None:
    """So that broadcasts need not be decoded once more."""
    picture = ("-f", "lavfi", "-i", "testsrc2=s=160x128:r=50:d=1", "-vf", "tinterlace=interleave_top")
    coding = ("-c:v", "libx264", "-x264-params", "tff=1:bframes=2:keyint=12")
    source = ffmpeg(tmp_path / f"in.{container}", *picture, *coding)
    media = probe(source, table=tmp_path / "frames.table")
    assert (media.picture.timeline, media.video.frames) == ("packets", len(shown(source)))


@pytest.mark.parametrize("container", ["hevc", "mkv", "mp4", "ts"])
def test_fields_of_half_the_height_are_refused(container: str, tmp_path: Path) -> None:
    fields = "tinterlace=interleave_top,setfield=tff,separatefields,setfield=prog"
    picture = ("-f", "lavfi", "-i", "testsrc2=s=160x128:r=50:d=0.5", "-vf", fields)
    coding = ("-c:v", "libx265", "-x265-params", "log-level=none:interlace=tff")
    source = ffmpeg(tmp_path / f"in.{container}", *picture, *coding)
    with pytest.raises(InputUnsupported, match="half the height"):
        probe(source, table=tmp_path / "frames.table")
