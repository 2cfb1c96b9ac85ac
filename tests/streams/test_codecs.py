"""Every codec of the table in every container that it says: chunks are joined, and others decode them."""

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sr_tasks.demux.scan import PtsHash
from sr_tasks.media.encode import ChunkWriter, prove_chunk
from sr_tasks.media.probe import probe
from sr_tasks.records.codecs import CODECS, VideoCodec
from sr_tasks.records.containers import holds
from sr_tasks.records.encode import EncodeSettings
from sr_tasks.records.media import HdrInfo, VideoInfo
from sr_tasks.streams.assemble import ChunkFile, assemble, reorder_depth
from sr_tasks.streams.plan import plan_streams
from tests import readers
from tests.clips import Clip, make, pts_of

ROWS = [pytest.param(row, id=row.name) for row in CODECS.values()]


SIZE = (96, 80)
LENGTHS = (7, 1, 12, 2)
"""Frames of the chunks that are joined: many, one alone, more than encoders look ahead, and two."""


def settings_of(row: VideoCodec, video: VideoInfo, pix_fmt: str) -> EncodeSettings:
    return EncodeSettings(
        codec=row.name, crf=row.crf or 0, preset="veryfast", threads=2, width=SIZE[0], height=SIZE[1], pix_fmt=pix_fmt,
        time_base=video.tick, average_rate=Fraction(video.average_rate), color_range=1, color_primaries=1, color_trc=1,
        colorspace=1, chroma_location=1, sample_aspect_ratio=Fraction(1), hdr=HdrInfo(),
    )  # fmt: skip


def write_chunks(
    folder: Path, row: VideoCodec, source: Path, video: VideoInfo, pix_fmt: str, lengths: Sequence[int] = LENGTHS
) -> list[ChunkFile]:
    """The source's pictures, encoded in chunks of those lengths."""
    with av.open(str(source)) as container:
        frames = [frame.reformat(format=pix_fmt) for frame in container.decode(video=0)]
    files = []
    for length in lengths:
        taken, frames = frames[:length], frames[length:]
        start = taken[0].pts
        path = folder / f"{len(files)}.chunk"
        writer = ChunkWriter(path, settings_of(row, video, pix_fmt), start, length)
        digest = PtsHash()
        for frame in taken:
            digest.add(frame.pts)
            writer.write(frame, frame.pts)
        writer.close()
        prove_chunk(path, video.tick, start, length, digest.hexdigest())
        files.append(ChunkFile(path=path, start_pts=start, reorder_depth=reorder_depth(path, video.tick)))
    assert not frames
    return files


def ffmpeg_frames(path: Path) -> list[str]:
    """A line for each frame that Debian's ffmpeg decodes; it may not complain."""
    run = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("row", "pix_fmt", "suffix"),
    [
        pytest.param(row, pix_fmt, suffix, id=f"{row.name}-{pix_fmt}{suffix}")
        for row in CODECS.values()
        for pix_fmt in sorted(row.pix_fmts & {"yuv420p", "yuv420p10le", "yuv422p10le"})
        for suffix in (".mp4", ".mov", ".mkv", ".webm")
        if holds(suffix, row.name)
    ],
)
def test_joined_chunks_decode_to_the_last_frame_and_are_the_same_bytes_again(
    row: VideoCodec, pix_fmt: str, suffix: str, tmp_path: Path
) -> None:
    uneven = [n * 1001 + (n % 3) * 7 for n in range(sum(LENGTHS))]
    source = make(
        tmp_path / "source.mp4",
        Clip(frames=len(uneven), width=SIZE[0], height=SIZE[1], time_base=Fraction(1, 30_000), pts=uneven),
    )
    info = probe(source)
    files, again = [], []
    for number, found in enumerate((files, again)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found += write_chunks(folder, row, source, info.video, pix_fmt)
    assert [file.path.read_bytes() for file in files] == [file.path.read_bytes() for file in again]
    output = tmp_path / f"output{suffix}"
    assemble(source, output, suffix, info.video, files, plan_streams(source, info, suffix, row.name), None)
    assert len(ffmpeg_frames(output)) == sum(LENGTHS)
    assert probe(output).video.codec in (row.name, "libdav1d")
    rounding = Fraction(0) if suffix in (".mp4", ".mov") else Fraction(1, 1000)
    shifts = [after - before for after, before in zip(pts_of(output), pts_of(source), strict=True)]
    assert max(shifts) - min(shifts) <= rounding


@pytest.mark.parametrize("lengths", [(1, 21), (2, 20), (1, 2, 19)], ids=str)
@pytest.mark.parametrize("row", ROWS)
def test_a_file_that_begins_with_a_short_chunk_shows_every_frame_in_its_place(
    row: VideoCodec, lengths: tuple[int, ...], tmp_path: Path
) -> None:
    """Some encoders write another header for a file of one or two frames, in which no frame waits for a later one."""
    pix_fmt = "yuv422p10le" if row.name == "prores" else "yuv420p"
    source = make(tmp_path / "source.mp4", Clip(frames=sum(lengths), width=SIZE[0], height=SIZE[1]))
    info = probe(source)
    files = write_chunks(tmp_path, row, source, info.video, pix_fmt, lengths)
    output = tmp_path / f"output{row.suffix}"
    assemble(source, output, row.suffix, info.video, files, plan_streams(source, info, row.suffix, row.name), None)
    raw = ("-pix_fmt", "gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-")
    shown, meant = (
        np.frombuffer(readers.run("ffmpeg", "-v", "error", "-i", path, "-map", "0:v", *raw), np.uint8).reshape(
            -1, SIZE[1], SIZE[0]
        )
        for path in (output, source)
    )
    assert len(shown) == len(meant)
    errors = np.abs(shown[:, None].astype(int) - meant[None]).mean(axis=(2, 3))
    assert errors.argmin(axis=1).tolist() == list(range(sum(lengths)))
