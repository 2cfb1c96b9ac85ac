"""Interlaced sources become progressive, the same frames whether decoded in chunks or whole; others stay untouched."""

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sr_tasks.errors import InputUnsupported
from sr_tasks.jobs.form import Fields
from sr_tasks.media import interlace, places
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.media.decode import ChunkReader, whole
from sr_tasks.media.field_plan import with_fields
from sr_tasks.media.probe import probe
from sr_tasks.planes.frames import planes_of
from sr_tasks.records.media import MediaInfo, PicturePlan
from tests.interlaced import Frames, comb, interlaced, moving, noisy, panned, psnr, softened, telecined, write

INTERLACED_MPEG2 = {"flags": "+ildct+ilme", "b": "4000000", "g": "6", "bf": "2"}
OPEN_GOP = {"x264-params": "tff=1:open-gop=1:keyint=8:bframes=3:scenecut=0"}
VIDEO = Fraction(30000, 1001)
SCENES = {
    "drawn": lambda count, step: moving(count, step),
    "drawn fast": lambda count, step: moving(count, 2 * step),
    "panned": lambda count, step: panned(count, 1.5 * step),
    "panned fast": lambda count, step: panned(count, 4 * step, seed=1),
    "panned down": lambda count, step: panned(count, 0.2 * step, 0.9 * step, seed=2),
    "panned up": lambda count, step: panned(count, 0, -1.2 * step, seed=3),
    "turned": lambda count, step: panned(count, 0, 0, 0.7 * step, seed=4),
}
"""By frames and how far each is from the one before."""


def stripes(count: int, period: float, speed: float, slope: float = 0.0, soft: bool = False) -> Frames:
    rows, columns = np.mgrid[0:128, 0:160].astype(float)
    waves = [np.sin((rows + slope * columns - speed * n) * 2 * np.pi / period + 0.3) for n in range(count)]
    return [(128 + 100 * (wave if soft else np.sign(wave))).clip(0, 255).astype(np.uint8) for wave in waves]


def lines(count: int, speed: float, thickness: int) -> Frames:
    """Thin horizontal lines that sink over a picture that stands."""
    frames = []
    for n, picture in enumerate(panned(1, 0) * count):
        frame = picture.copy()
        for top in range(0, 120, 12):
            row = int(top + speed * n) % 124
            frame[row : row + thickness] = 240
        frames.append(frame)
    return frames


def flashing(frames: Frames) -> Frames:
    return [
        np.clip(f.astype(int) + (60 if n // 2 % 3 == 0 else 0), 0, 255).astype(np.uint8) for n, f in enumerate(frames)
    ]


PROGRESSIVE = {
    **{f"{name} {step}": (lambda s=scene, d=step: s(20, d)) for name, scene in SCENES.items() for step in (0.5, 2)},
    **{f"{name} noisy": (lambda s=scene: noisy(s(20, 2), 6)) for name, scene in SCENES.items()},
    **{f"stripes {p} {v}": (lambda p=p, v=v: stripes(20, p, v)) for p in (2, 4, 7) for v in (0, 0.5, 1, 3)},
    **{f"sloping stripes {v}": (lambda v=v: stripes(20, 5, v, 0.3, True)) for v in (0.5, 1, 2)},
    **{f"lines {v} {t}": (lambda v=v, t=t: lines(20, v, t)) for v in (0, 0.5, 1, 3) for t in (1, 2)},
    "flashing": lambda: flashing(panned(20, 3)),
    "cuts": lambda: panned(7, 3) + moving(7, 2) + panned(6, -2, 1, seed=9),
    "still": lambda: panned(1, 0) * 20,
    "still and noisy": lambda: noisy(panned(1, 0) * 20, 10),
    "black": lambda: [np.full((128, 160), 16, np.uint8)] * 20,
}
CODED = {
    "as it is": ("ffv1", ".mkv", {}, "yuv420p"),
    "mpeg2": ("mpeg2video", ".ts", INTERLACED_MPEG2, "yuv420p"),
    "h264": ("libx264", ".mp4", {"x264-params": "bff=1", "crf": "18"}, "yuv420p"),
    "flagged progressive": ("libx264", ".mkv", {"crf": "16"}, "yuv420p"),
    "10 bit": ("prores_ks", ".mov", {"flags": "+ildct"}, "yuv422p10le"),
    "mpeg4": ("mpeg4", ".avi", {"flags": "+ildct+ilme", "b": "4000000"}, "yuv420p"),
}


def planned(path: Path, wish: Fields = "single") -> MediaInfo:
    return with_fields(path, probe(path), wish)


@pytest.mark.parametrize("wish", ["double", "film"])
def test_a_rehearsal_may_begin_and_end_at_any_presented_frame(wish: Fields, tmp_path: Path) -> None:
    frames = telecined(panned(40, 3)) if wish == "film" else interlaced(panned(84, 1.5), "tff")
    for name, codec, options in (("a.mkv", "ffv1", {}), ("b.mkv", "libx264", {"crf": "16", "g": "30"})):
        media = planned(write(tmp_path / name, frames, codec, options, rate=VIDEO), wish)
        for count in (2, 3, 5, 7):
            for place in places.chosen(tmp_path / name, media, count, 8):
                for chunk in place.chunks:
                    reader = ChunkReader(path=tmp_path / name, chunk=chunk, picture=media.picture)
                    assert len(list(reader.frames())) == chunk.frames


def read(path: Path, plan: PicturePlan, target: int) -> list[tuple[int, bytes]]:
    """Time stamps and pictures, through chunks of at least `target` frames."""
    chunks = plan_chunks(path, target_frames=target, total_frames=40, picture=plan)
    frames = [item for chunk in chunks for item in ChunkReader(path=path, chunk=chunk, picture=plan).frames()]
    return [(item.pts, item.frame.to_ndarray().tobytes()) for item in frames]


def lumas(path: Path, media: MediaInfo) -> Frames:
    """Luma of the presented frames, in 8-bit codes."""
    items = ChunkReader(path=path, chunk=whole(media), picture=media.picture).frames()
    return [(planes_of(item.frame)[0] >> (media.video.bit_depth - 8)).astype(np.uint8) for item in items]


def idet(frames: Frames) -> int:
    """How many frames FFmpeg's own detector calls interlaced."""
    size = f"{frames[0].shape[1]}x{frames[0].shape[0]}"
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", size, "-i", "-"]
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", *source, "-vf", "idet", "-f", "null", "-"],
        input=b"".join(frame.tobytes() for frame in frames), capture_output=True, check=True,
    )  # fmt: skip
    found = re.search(rb"Multi frame detection: TFF:\s*(\d+) BFF:\s*(\d+)", done.stderr)
    assert found is not None
    return int(found[1]) + int(found[2])


@pytest.mark.parametrize("wish", ["single", "double", "film"])
@pytest.mark.parametrize("name", ["h264 open GOP", "mpeg2 in ts", "all intra"])
def test_chunks_hold_the_same_frames_as_the_whole_film(wish: Fields, name: str, tmp_path: Path) -> None:
    frames = telecined(panned(34, 3)) if wish == "film" else interlaced(panned(84, 1.5), "tff")[:-2]
    suffix, codec, options = {
        "h264 open GOP": (".mkv", "libx264", OPEN_GOP),
        "mpeg2 in ts": (".ts", "mpeg2video", INTERLACED_MPEG2),
        "all intra": (".mkv", "ffv1", {}),
    }[name]
    path = write(tmp_path / f"clip{suffix}", frames, codec, options, rate=VIDEO)
    media = planned(path, wish)
    assert media.picture.deinterlace == wish
    together = read(path, media.picture, target=1000)
    assert len(together) == media.video.frames
    stored = {item.frame.to_ndarray().tobytes() for item in ChunkReader(path=path, chunk=whole(probe(path))).frames()}
    assert sum(picture not in stored for _, picture in together) > 6, "too few frames depend on their neighbours"
    for target in (1, 9, 17):
        assert read(path, media.picture, target=target) == together


@pytest.mark.parametrize("coding", CODED)
@pytest.mark.parametrize("scene", SCENES)
def test_an_interlaced_source_is_found_and_its_output_does_not_comb(scene: str, coding: str, tmp_path: Path) -> None:
    codec, suffix, options, pix_fmt = CODED[coding]
    order = "bff" if coding == "h264" else "tff"
    original = SCENES[scene](40, 1)
    combed = interlaced(original, order)
    path = write(tmp_path / f"clip{suffix}", combed, codec, options, pix_fmt=pix_fmt)
    media = planned(path)
    assert (media.picture.deinterlace, media.picture.field_order) in {("single", order), ("single", "")}
    assert media.video.frames == len(combed)
    assert [repair.kind for repair in media.repairs] == ["deinterlaced"]
    found = lumas(path, media)
    truth = [softened(frame) for frame in original[::2]]
    inner = range(1, len(found) - 1)
    assert np.mean([comb(found[n]) for n in inner]) < 0.35 * np.mean([comb(combed[n]) for n in inner]) + 0.002
    gain = [psnr(found[n], truth[n]) - psnr(combed[n], truth[n]) for n in inner]
    assert np.mean(gain) > 2


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("px", "is_found"), [(92, False), (96, True)])
def test_a_small_picture_is_interlaced_only_if_it_is_flagged_so(
    px: int, is_found: bool, side: int, tmp_path: Path
) -> None:
    rows, columns = (px, 160) if side == 0 else (128, px)
    combed = [frame[:rows, :columns].copy() for frame in interlaced(panned(40, 6), "tff")]
    plain = planned(write(tmp_path / "plain.mkv", combed, "libx264", {"crf": "16"}))
    assert plain.picture.deinterlace == ("single" if is_found else "none")
    flagged = planned(write(tmp_path / "flagged.mkv", combed, "libx264", {"x264-params": "tff=1", "crf": "16"}))
    assert flagged.picture.deinterlace == "single"


def test_what_was_deinterlaced_is_progressive_to_ffmpeg(tmp_path: Path) -> None:
    combed = interlaced(panned(40, 1.5), "tff")
    path = write(tmp_path / "clip.mkv", combed)
    assert idet(combed) == len(combed)
    assert idet(lumas(path, planned(path))) <= 1


@pytest.mark.parametrize("name", PROGRESSIVE)
def test_a_progressive_source_stays_untouched(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", PROGRESSIVE[name](), "libx264", {"crf": "20"})
    media = planned(path)
    assert (media.picture.deinterlace, media.repairs) == ("none", ())


@pytest.mark.parametrize("scene", SCENES)
def test_a_wrong_flag_changes_no_picture(scene: str, tmp_path: Path) -> None:
    path = write(tmp_path / "clip.ts", SCENES[scene](24, 2), "mpeg2video", INTERLACED_MPEG2)
    for wish in ("single", "double"):
        media = planned(path, wish)  # type: ignore[arg-type]
        assert [repair.kind for repair in media.repairs] == ["wrong-field-flags"]
        assert read(path, media.picture, target=1000) == read(path, PicturePlan(), target=1000)
    assert planned(path, "refuse").picture.deinterlace == "none"


@pytest.mark.parametrize("scene", ["drawn", "panned", "turned"])
def test_the_pictures_decide_the_order_of_fields_when_the_flag_lies(scene: str, tmp_path: Path) -> None:
    flagged_upper = {"x264-params": "tff=1", "crf": "16"}
    path = write(tmp_path / "clip.mp4", interlaced(SCENES[scene](40, 1), "bff"), "libx264", flagged_upper)
    media = planned(path, "double")
    assert media.picture.field_order == "bff"
    assert "though flagged the other way round" in media.repairs[0].what


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_one_frame_a_field_moves_twice_as_smoothly(order: str, tmp_path: Path) -> None:
    original = panned(40, 1.5)
    path = write(tmp_path / "clip.mkv", interlaced(original, order))
    media = planned(path, "double")
    assert media.video.frames == len(original)
    assert media.video.average_rate == "50"
    shown = [item.pts for item in ChunkReader(path=path, chunk=whole(media), picture=media.picture).frames()]
    assert [pts * media.video.tick for pts in shown] == [Fraction(n, 50) for n in range(len(original))]
    found = lumas(path, media)
    for n in range(2, len(found) - 2):
        likeness = [psnr(found[n], softened(original[n + shift])) for shift in (-1, 0, 1)]
        assert max(likeness) == likeness[1]


def test_what_is_interlaced_in_the_middle_alone_is_deinterlaced_there_alone(tmp_path: Path) -> None:
    first, last = panned(20, 3), panned(20, 3, seed=8)
    frames = first + interlaced(panned(40, 1.5, seed=7), "tff") + last
    path = write(tmp_path / "clip.mkv", frames)
    media = planned(path)
    assert "in parts" in media.repairs[0].what
    found = lumas(path, media)
    untouched = [np.array_equal(before, after) for before, after in zip(frames, found, strict=True)]
    assert untouched == [True] * 20 + [False] * 20 + [True] * 20


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("lead", range(5))
def test_the_frames_of_a_film_come_out_of_telecine_bit_by_bit(lead: int, order: str, tmp_path: Path) -> None:
    film = panned(40, 2.5, 0.7)
    path = write(tmp_path / "clip.mkv", telecined(film, order, lead), rate=VIDEO)
    media = planned(path, "film")
    assert [repair.kind for repair in media.repairs] == ["telecine-undone"]
    assert abs(float(Fraction(media.video.average_rate)) - 24000 / 1001) < 0.01
    assert not media.video.is_vfr
    places = [
        next((n for n, frame in enumerate(film) if np.array_equal(frame, picture)), None)
        for picture in lumas(path, media)
    ]
    inner = places[1:-1]
    assert inner == list(range(inner[0] or 0, (inner[0] or 0) + len(inner)))
    assert len(inner) > 30


def test_video_that_is_no_film_is_deinterlaced_and_said_so(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", interlaced(panned(60, 1.5), "tff"), rate=VIDEO)
    media = planned(path, "film")
    assert (media.picture.deinterlace, [r.kind for r in media.repairs]) == ("single", ["deinterlaced", "no-telecine"])


def test_telecine_is_said_where_it_is_not_undone(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", telecined(panned(40, 3)), rate=VIDEO)
    media = planned(path)
    assert [repair.kind for repair in media.repairs] == ["deinterlaced", "telecine"]
    assert "`film`" in media.repairs[1].what


def test_an_interlaced_source_is_refused_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", interlaced(panned(40, 1.5), "tff"))
    with pytest.raises(InputUnsupported, match="interlaced"):
        planned(path, "refuse")


@pytest.mark.parametrize("pix_fmt", ["uyvy422", "yuyv422", "nv12", "rgb24", "gray", "gray10le", "yuv444p"])
def test_packed_pictures_are_deinterlaced_too(pix_fmt: str, tmp_path: Path) -> None:
    combed = interlaced(panned(30, 1.5), "tff")
    codec = "ffv1" if pix_fmt.startswith(("gray", "yuv4")) else "rawvideo"
    path = write(tmp_path / f"clip.{'mkv' if codec == 'ffv1' else 'nut'}", combed, codec, pix_fmt=pix_fmt)
    media = planned(path)
    assert media.picture.deinterlace == "single"
    assert np.mean([comb(frame) for frame in lumas(path, media)]) < 0.3 * np.mean([comb(frame) for frame in combed])


def test_a_long_source_is_looked_at_in_few_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sr_tasks.media.interlace.DECODED_PX", 160 * 128 * 60)
    frames = panned(300, 1, 0.3) + interlaced(panned(400, 1.5, seed=7), "tff")
    path = write(tmp_path / "clip.ts", frames, "mpeg2video", {"b": "2000000", "g": "12"})
    decoded = 0
    original = interlace.codes

    def counted(frame: av.VideoFrame) -> np.ndarray:
        nonlocal decoded
        decoded += 1
        return original(frame)

    monkeypatch.setattr(interlace, "codes", counted)
    media = planned(path)
    assert (media.picture.deinterlace, media.picture.field_order) == ("single", "tff")
    assert decoded < 150


def test_a_longer_source_is_looked_at_in_more_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of twelve places something interlaced is not seen; in a source of hours it may be minutes."""
    frames = panned(164, 1, 0.3) + interlaced(panned(28, 1.5, seed=7), "tff") + panned(162, 1, 0.3, seed=5)
    path = write(tmp_path / "clip.ts", frames, "mpeg2video", {"b": "2000000", "g": "12"})
    assert planned(path).picture.deinterlace == "none"
    monkeypatch.setattr("sr_tasks.media.interlace.FRAMES_A_PLACE", 10)
    assert planned(path).picture.deinterlace == "single"
