"""Pairing of frames, damage, bounded size, progress and pictures of an assessment."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from sr_tasks.media.probe import probe
from sr_tasks.quality.cells import Located
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.figures import Comparer, FrameFigures, Look, output_picture, source_picture
from sr_tasks.quality.frames import DecodeTally, Frame, decoded, with_missing
from sr_tasks.quality.pictures import Album, to_rgb
from sr_tasks.quality.tallies import SERIES_POINTS, Place, Summary
from sr_tasks.records.assessment import Decision
from tests.clips import make
from tests.quality.twins import judge, write_twin

SIZE = (320, 192)
BT601 = {"colorspace": 6, "color_primaries": 6, "color_trc": 6}


def frame(pts: int) -> Frame:
    return Frame(pts=pts, planes=(np.full((2, 2), pts, np.uint8),), bit_depth=8)


@pytest.mark.parametrize(
    ("given", "missing", "shown"),
    [
        ([0, 1, 2, 3], [], [0, 1, 2, 3]),
        ([0, 1, 3], [2], [0, 1, 1, 3]),
        ([2, 3], [0, 1], [2, 2, 2, 3]),
        ([0, 1], [2, 3], [0, 1, 1, 1]),
        ([0, 1, 2], [1], [0, 0, 2]),
    ],
)
def test_missing_frames_repeat_the_one_before(given: list[int], missing: list[int], shown: list[int]) -> None:
    filled = list(with_missing((frame(pts) for pts in given), frozenset(missing)))
    assert [f.pts for f in filled] == sorted({*given, *missing})
    assert [int(f.planes[0][0, 0]) for f in filled] == shown
    assert [f.pts for f in filled if f.is_missing] == sorted(missing)


def damaged_clip(folder: Path) -> tuple[Path, frozenset[int]]:
    """A clip of key frames only, two of which are gone; and their time stamps."""
    whole = make(folder / "whole.mp4", options={"crf": "18", "g": "1"}, **BT601)
    broken = folder / "broken.mp4"
    lost = set()
    with av.open(str(whole)) as before, av.open(str(broken), "w") as out:
        stream = out.add_stream_from_template(before.streams.video[0])
        for number, packet in enumerate(p for p in before.demux(video=0) if p.size):
            sent = packet
            if number in (9, 15):
                sent = av.Packet(b"\0\0\0\4\x65\xff\xff\xff")
                sent.pts, sent.dts = packet.pts, packet.dts
                sent.time_base, sent.duration = packet.time_base, packet.duration
                lost.add(packet.pts)
            sent.stream = stream
            out.mux(sent)
    return broken, frozenset(lost)


def test_a_damaged_source_does_not_derail_the_pairing(tmp_path: Path) -> None:
    source, lost = damaged_clip(tmp_path)
    tally = DecodeTally()
    filled = list(with_missing(decoded(source, 0, 1, tally), lost))
    assert tally.error_count == 2
    assert len(filled) == 24

    output = tmp_path / "twin.mkv"
    with av.open(str(output), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        stream.time_base = stream.codec_context.time_base = probe(source).video.tick
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 6, 6, 6
        for each in filled:
            made = av.VideoFrame(320, 192, "yuv420p")
            for target, plane in zip(made.planes, each.planes, strict=True):
                large = cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
                np.frombuffer(target, np.uint8).reshape(target.height, -1)[:, : target.width] = large
            made.pts, made.time_base = each.pts, probe(source).video.tick
            out.mux(stream.encode(made))
        out.mux(stream.encode(None))
    judged = judge(source, output, damaged_pts=lost)
    assert judged.verdict.decision is Decision.PASSED, judged.why
    assert judged.assessment.decode.damaged_frames == 2
    assert judged.assessment.frames == 24


def test_progress_ends_at_the_number_of_frames(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", **BT601)
    twin = write_twin(tmp_path / "twin.mp4", source)
    told: list[int] = []
    assess(source, twin, probe(source), probe(twin), SIZE, report_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 24


def test_more_threads_give_the_same_assessment(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", **BT601)
    twin = write_twin(tmp_path / "twin.mp4", source)
    results = {
        assess(
            source, twin, probe(source), probe(twin), SIZE, report_progress=lambda _: None, threads=threads
        ).model_dump_json()
        for threads in (1, 2, 4)
    }
    assert len(results) == 1


def figures(psnr: float) -> FrameFigures:
    nowhere = Located(value=psnr, x=0, y=0)
    return FrameFigures(
        psnr=psnr, kept_psnr=psnr, block_psnr=nowhere, block_shift=nowhere, ssim=None, color=None, geometry=None
    )


@pytest.mark.parametrize("frames", [1, 1999, 2000, 2001, 12_345])
def test_plots_are_bounded_and_keep_the_worst_value(frames: int) -> None:
    summary = Summary(frames)
    worst = frames * 2 // 3
    for number in range(frames):
        summary.add(Place(frame=number, time_s=number / 25), figures(20.0 if number == worst else 45.0))
    series = summary.series()
    assert len(series.psnr) <= SERIES_POINTS
    assert len(series.psnr) == len(series.time_s) == -(-frames // series.frames_per_point)
    assert min(value for value in series.psnr if value is not None) == 20.0
    assert summary.psnr_worst.result().frame == worst


def test_frames_beyond_the_expected_ones_do_not_grow_the_plots() -> None:
    summary = Summary(10)
    for number in range(5000):
        summary.add(Place(frame=number, time_s=number / 25), figures(45.0))
    assert len(summary.series().psnr) == SERIES_POINTS


@pytest.mark.parametrize(
    ("colorspace", "matrix", "color_range", "name"),
    [(6, "ITU601", 1, "MPEG"), (1, "ITU709", 1, "MPEG"), (1, "ITU709", 2, "JPEG"), (9, "BT2020", 1, "MPEG")],
)
def test_pictures_have_the_colours_that_the_video_has(
    tmp_path: Path, colorspace: int, matrix: str, color_range: int, name: str
) -> None:
    colours = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [200, 200, 40], [120, 120, 120]], np.uint8)
    bars = np.repeat(np.repeat(colours[None], 48, axis=0), 32, axis=1)
    made = av.VideoFrame.from_ndarray(bars, format="rgb24").reformat(
        format="yuv444p", dst_colorspace=matrix, dst_color_range=name
    )
    planes = tuple(np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width] for p in made.planes)
    clip = make(tmp_path / "any.mp4", frames=2)
    video = probe(clip).video.model_copy(update={"colorspace": colorspace, "color_range": color_range})
    shown = to_rgb(Frame(pts=0, planes=planes, bit_depth=8), video)
    assert np.abs(shown.astype(int) - bars).max() <= 3


def test_the_album_shows_the_same_region_of_both_files(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", width=320, height=192, **BT601)
    judged = judge(source, write_twin(tmp_path / "twin.mp4", source))
    pairs = judged.album.pairs()
    assert {pair.reason for pair in pairs} == {"detailed", "worst"}
    assert len(pairs) <= 6
    for pair in pairs:
        before, after = picture_of(pair.source), picture_of(pair.output)
        assert after.shape == (pair.height, pair.width, 3)
        assert before.shape[0] * 2 == after.shape[0]
        small = cv2.resize(after, before.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert cv2.PSNR(small, before) > 30


def test_the_worst_place_is_shown_as_such_even_if_it_is_the_most_detailed_too(tmp_path: Path) -> None:
    """There is one place alone: the whole of one small frame."""
    source = make(tmp_path / "source.mp4", width=96, height=64, frames=1, **BT601)
    (pair,) = judge(source, write_twin(tmp_path / "twin.mp4", source)).album.pairs()
    assert (pair.reason, pair.frame, pair.x, pair.y) == ("worst", 0, 0, 0)


def test_the_album_begins_where_the_output_differs_most_from_bicubic(tmp_path: Path) -> None:
    """Fine stripes have more detail than soft edges; the output of the edges alone is sharper than bicubic."""
    stripes, edges = np.zeros((192, 320), np.uint8), np.zeros((192, 320), np.uint8)
    stripes[:, :160:4], edges[:, 240:] = 200, 200
    before = np.maximum(stripes, cv2.GaussianBlur(edges, (0, 0), 2))
    after = cv2.resize(before, (640, 384), interpolation=cv2.INTER_CUBIC)
    after[:, 400:] = cv2.resize(edges, (640, 384), interpolation=cv2.INTER_NEAREST)[:, 400:]
    video = probe(make(tmp_path / "any.mp4", width=320, height=192, frames=1)).video
    album = Album(video)
    gray = tuple(np.full((96 * scale, 160 * scale), 128, np.uint8) for scale in (1, 2))
    source = source_picture(Frame(pts=0, planes=(before, gray[0], gray[0]), bit_depth=8))
    output = output_picture(Frame(pts=0, planes=(after, gray[1], gray[1]), bit_depth=8), 320, 192)
    comparer = Comparer(320, 192)
    album.offer(Place(frame=0, time_s=0.0), source, output, comparer.compare(source, output, lambda _: Look()))
    shown = album.pairs()[0]
    assert shown.x <= 240 <= shown.x + 128


def test_the_album_turns_pictures_as_a_player_does(tmp_path: Path) -> None:
    source = make(tmp_path / "source.mp4", width=320, height=192, rotation=90, **BT601)
    album = Album(probe(source).video)
    twin = write_twin(tmp_path / "twin.mp4", source)
    assess(source, twin, probe(source), probe(twin), (640, 384), report_progress=lambda _: None, album=album)
    pair = album.pairs()[0]
    assert pair.height > pair.width


def picture_of(uri: str) -> np.ndarray:
    import base64

    return cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
