"""Everything but the size of the picture comes out as it went in."""

import dataclasses
import hashlib
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.sidedata.sidedata import Type

from sr_tasks.config import Settings
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.probe import probe
from sr_tasks.steps import pipeline
from sr_tasks.telemetry.progress import Observers
from tests import readers
from tests.clips import Clip, make, pts_of
from tests.steps.conftest import Enhance

VARIABLE = Clip(
    frames=30,
    time_base=Fraction(1, 90_000),
    pts=[n * 3003 + (n * n * 37) % 2900 for n in range(30)],
    sound="aac",
)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_variable_frame_rate_keeps_every_time_stamp(suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", VARIABLE)
    result = enhance(source, f"out{suffix}")
    before, after = pts_of(source), pts_of(Path(result["output"]))
    assert len(after) == len(before) == 30
    if suffix == ".mkv":  # holds milliseconds, and starts no stream before zero: all streams move together
        assert max(abs((a - after[0]) - (b - before[0])) for a, b in zip(after, before, strict=True)) <= Fraction(
            1, 1000
        )
    else:
        assert after == before


@pytest.mark.parametrize("offset_s", [0.0, 0.5])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_keeps_its_bytes_and_its_distance_to_the_picture(
    suffix: str, offset_s: float, enhance: Enhance, tmp_path: Path
) -> None:
    source = make(tmp_path / f"clip{suffix}", Clip(frames=50, sound="aac", sound_start_s=offset_s, options={"bf": "2"}))
    output = Path(enhance(source)["output"])
    assert packets(output, "audio") == packets(source, "audio")
    before, after = probe(source).streams, probe(output).streams
    gap_before = before[1].start_s - before[0].start_s  # type: ignore[operator]
    gap_after = after[1].start_s - after[0].start_s  # type: ignore[operator]
    assert gap_after == pytest.approx(gap_before, abs=0.0011)


def test_matroska_keeps_subtitles_chapters_fonts_tags_and_languages(enhance: Enhance, tmp_path: Path) -> None:
    source = with_subtitles(
        make(
            tmp_path / "plain.mkv",
            Clip(
                frames=50,
                sound="libopus",
                chapters=True,
                attachment=True,
                metadata={"title": "Ein Film", "ARTIST": "wir"},
            ),
        ),
        tmp_path / "clip.mkv",
    )
    output = Path(enhance(source)["output"])
    with av.open(str(source)) as before, av.open(str(output)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert [s.metadata.get("language") for s in after.streams] == [
            s.metadata.get("language") for s in before.streams
        ]
        assert [s.disposition for s in after.streams] == [s.disposition for s in before.streams]
        assert [(c["start"], c["end"], c["metadata"]) for c in after.chapters()] == [
            (c["start"], c["end"], c["metadata"]) for c in before.chapters()
        ]
        assert after.metadata["title"] == "Ein Film"
        assert after.metadata["ARTIST"] == "wir"
        fonts = [next(s for s in c.streams if s.type == "attachment") for c in (before, after)]
        assert fonts[0].data == fonts[1].data
    assert packets(output, "subtitle") == packets(source, "subtitle")


@pytest.mark.parametrize(
    ("clip", "codec"),
    [
        (Clip(frames=10, colorspace=5, color_primaries=5, color_trc=6), "h264"),
        (Clip(frames=10, color_range=2), "h264"),
        (Clip(frames=10, pix_fmt="yuv422p", colorspace=6, color_primaries=6, color_trc=6), "h264"),
        (Clip(frames=10, pix_fmt="yuv444p10le"), "hevc"),
        (Clip(frames=10, pix_fmt="yuv420p10le", colorspace=9, color_primaries=9, color_trc=16), "hevc"),
        (Clip(frames=10, pix_fmt="yuv420p10le"), "h264"),
        (Clip(frames=10, codec="ffv1", pix_fmt="yuv420p12le"), "ffv1"),
        (Clip(frames=10, codec="ffv1", pix_fmt="gray"), "ffv1"),
        (Clip(frames=10, sample_aspect_ratio=Fraction(16, 11)), "h264"),
        (Clip(frames=10, codec="ffv1", width=161, height=97), "h264"),
    ],
    ids=["601", "full range", "422", "444 10 bit", "PQ", "h264 10 bit", "12 bit", "gray", "anamorphic", "odd size"],
)
def test_colour_depth_and_shape_are_kept(clip: Clip, codec: str, enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mkv", clip)
    output = probe(Path(enhance(source, codec=codec)["output"])).video
    before = probe(source).video
    kept = ("color_range", "color_primaries", "color_trc", "colorspace", "bit_depth", "chroma", "sample_aspect_ratio")
    assert {name: getattr(output, name) for name in kept} == {name: getattr(before, name) for name in kept}
    assert (output.width, output.height) == (before.width * 2, before.height * 2)


@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(64, 45), Fraction(8, 9)])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("ffv1", ".mkv"), ("av1", ".mkv"), ("vp9", ".webm"), ("h264", ".mkv"), ("vp9", ".mp4"), ("prores", ".mov")],
)
def test_wide_and_narrow_pixels_keep_their_shape(
    codec: str, suffix: str, aspect: Fraction, enhance: Enhance, tmp_path: Path
) -> None:
    """In Matroska by mkvmerge's reading too, which takes the container's word alone; a title stays what it is."""
    plain = make(tmp_path / "plain.mp4", Clip(frames=4, width=64, height=48, sample_aspect_ratio=aspect))
    title = ("-c", "copy", "-metadata:s:v", "title=Ein Film")
    source = readers.ffmpeg(tmp_path / "clip.mkv", "-i", plain, *title)
    output = Path(enhance(source, f"out{suffix}", codec=codec)["output"])
    stream = readers.streams(output)[0]
    assert stream["sample_aspect_ratio"].replace(":", "/") == str(aspect)
    if suffix in (".mkv", ".webm"):
        track = readers.tracks(output)["tracks"][0]["properties"]
        width, height = map(int, track["display_dimensions"].split("x"))
        assert Fraction(width, height) == aspect * Fraction(128, 96)
        assert track["track_name"] == "Ein Film"


@pytest.mark.parametrize("rotation", [90, 180])
def test_a_rotated_phone_video_stays_rotated_once(rotation: int, enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=10, rotation=rotation))
    output = probe(Path(enhance(source)["output"])).video
    assert abs(output.rotation) == rotation
    assert output.rotation == probe(source).video.rotation
    assert (output.width, output.height) == (320, 192)


@pytest.mark.parametrize("spec", [{"scale": 4}, {"model": "compact-x2", "scale": 4}, {"model": "compact-x2"}])
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_models_scales_and_backends_give_what_was_asked(
    spec: dict[str, Any], backend: str, settings: Settings, tmp_path: Path
) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=10))
    request = JobSpec(source=str(source), preset="ultrafast", **{"model": "bicubic", **spec})
    chosen = dataclasses.replace(settings, backend=backend)
    result = pipeline.run(request, "job", chosen, Observers())
    output = probe(Path(result["output"])).video
    assert (output.width, output.height) == (160 * request.scale, 96 * request.scale)
    assert json.loads(Path(result["manifest"]).read_text())["device"]["backend"] == backend


def test_hdr10_metadata_is_carried(enhance: Enhance, tmp_path: Path) -> None:
    params = (
        "log-level=error:pools=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
        ":max-cll=1000,400"
    )
    clip = Clip(
        frames=10, codec="libx265", pix_fmt="yuv420p10le", colorspace=9, color_primaries=9, color_trc=16,
        options={"x265-params": params},
    )  # fmt: skip
    source = make(tmp_path / "clip.mkv", clip)
    output = Path(enhance(source, codec="hevc")["output"])
    for kind in (Type.MASTERING_DISPLAY_METADATA, Type.CONTENT_LIGHT_LEVEL):
        assert side_data(output, kind) == side_data(source, kind) != b""


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_a_time_code_track_comes_out_with_its_time(suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mov", Clip(frames=25, sound="pcm_s16le", metadata={"timecode": "01:02:03:04"}))
    output = Path(enhance(source, f"out{suffix}")["output"])
    with av.open(str(output)) as container:
        assert [s.type for s in container.streams] == ["video", "audio", "data"]
        assert container.streams[2].metadata["timecode"] == "01:02:03:04"


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("clip.ts", Clip(frames=40, sound="aac", options={"bf": "2", "g": "12"})),
        ("clip.avi", Clip(frames=40, codec="mpeg4", sound="libmp3lame", options={"bf": "2"})),
        ("clip.webm", Clip(frames=40, codec="libvpx-vp9", sound="libopus", options={"cpu-used": "8"})),
    ],
)
def test_a_container_that_is_not_written_goes_to_matroska(
    name: str, clip: Clip, enhance: Enhance, tmp_path: Path
) -> None:
    source = make(tmp_path / name, clip)
    output = Path(enhance(source, "")["output"])
    assert output.name == "clip_x2.mkv"
    before, after = pts_of(source), pts_of(output)
    assert len(after) == len(before) == 40
    assert max(abs((a - after[0]) - (b - before[0])) for a, b in zip(after, before, strict=True)) <= Fraction(1, 1000)


def test_what_an_encoder_does_not_write_is_listed_as_dropped(enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=6, options={"x264-params": "frame-packing=0"}))
    assert side_data(source, Type.STEREO3D) != b""
    result = enhance(source)
    rows = json.loads(Path(result["manifest"]).read_text())["streams"]
    assert [(row["fate"], row["codec"]) for row in rows[1:]] == [("dropped", "stereo 3D metadata")]
    assert "stereo 3D metadata" in Path(result["report"]).read_text()


def test_a_name_in_any_script_works(enhance: Enhance, tmp_path: Path) -> None:
    source = make(tmp_path / "Фильм 'eins' #1 – 映画 %20.mp4", Clip(frames=8))
    assert Path(enhance(source, "résultat ünï.mp4")["output"]).is_file()


def languages(container: Any) -> list[str | None]:
    return [stream.metadata.get("language") for stream in container.streams]


def packets(path: Path, kind: str) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        for packet in container.demux(stream):
            digest.update(bytes(packet))
    return digest.hexdigest()


def side_data(path: Path, kind: Type) -> bytes:
    with av.open(str(path)) as container:
        data: Any = next(container.decode(video=0)).side_data.get(kind)
        return bytes(data) if data is not None else b""


def with_subtitles(plain: Path, target: Path) -> Path:
    """Remux with an SRT track, read from a file of its own."""
    srt = plain.with_suffix(".srt")
    srt.write_text("1\n00:00:00,200 --> 00:00:00,900\nHallo\n\n2\n00:00:01,000 --> 00:00:01,500\nWelt\n")
    with av.open(str(plain)) as a, av.open(str(srt)) as b, av.open(str(target), "w") as out:
        out.metadata.update(a.metadata)
        out.set_chapters(a.chapters())
        streams = {("a", s.index): out.add_stream_from_template(s) for s in a.streams}
        streams["b", 0] = out.add_stream_from_template(b.streams[0])
        streams["b", 0].metadata["language"] = "eng"
        streams["b", 0].disposition = 64
        for s in a.streams:
            streams["a", s.index].metadata.update({k: v for k, v in s.metadata.items() if k == "language"})
        for name, container in (("b", b), ("a", a)):
            for packet in container.demux(*[s for s in container.streams if s.type != "attachment"]):
                if packet.size:
                    packet.stream = streams[name, packet.stream_index]
                    out.mux(packet)
    return target
