"""Whole jobs on sources whose streams their output's container does not hold: kept, converted, or dropped by plan."""

import json
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import ContainerMismatch, InputUnsupported
from tests import readers
from tests.readers import ffmpeg, recording
from tests.steps.conftest import Enhance

SRT = """1
00:00:00,200 --> 00:00:00,900
<i>Grüße</i> & <b>mehr</b>
zweite Zeile

2
00:00:01,000 --> 00:00:01,500
你好"""


def rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Type, fate and encoder of each row of the manifest's plan of streams, but of the picture."""
    streams = json.loads(Path(result["manifest"]).read_text())["streams"]
    return [(row["type"], row["fate"], row["target"]) for row in streams if row["fate"] != "enhanced"]


def done(enhance: Enhance, source: Path, output: str, **spec: Any) -> tuple[Path, list[tuple[str, str, str]]]:
    result = enhance(source, output, gate=False, **spec)
    return Path(result["output"]), rows(result)


LOSSLESS = {
    "pcm 24 bit": ("a.mov", ["-c:a", "pcm_s24le"], ".mp4", "flac", "24"),
    "pcm big-endian": ("a.mov", ["-c:a", "pcm_s16be"], ".mp4", "flac", "16"),
    "dvd": ("a.vob", ["-c:v", "mpeg2video", "-c:a", "pcm_dvd", "-sample_fmt", "s16"], ".mkv", "pcm_s16le", "16"),
    "dvd to mov": ("a.vob", ["-c:v", "mpeg2video", "-c:a", "pcm_dvd", "-sample_fmt", "s16"], ".mov", "pcm_s16le", "16"),
    "blu-ray": (
        "a.m2ts",
        ["-c:a", "pcm_bluray", "-sample_fmt", "s16", "-mpegts_m2ts_mode", "1"],
        ".mkv",
        "pcm_s16le",
        "16",
    ),
    "blu-ray 24 bit": (
        "a.m2ts",
        ["-c:a", "pcm_bluray", "-sample_fmt", "s32", "-mpegts_m2ts_mode", "1"],
        ".mkv",
        "pcm_s24le",
        "24",
    ),
    "flac to mov": ("a.mkv", ["-c:a", "flac", "-sample_fmt", "s16"], ".mov", "alac", "16"),
    "truehd to mov": ("a.mkv", ["-c:a", "truehd", "-strict", "-2"], ".mov", "alac", "24"),
    "wavpack to mp4": ("a.mkv", ["-c:a", "wavpack", "-sample_fmt", "s16p"], ".mp4", "flac", "16"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_sound_without_loss_keeps_its_samples_and_depth_in_another_codec(
    name: str, enhance: Enhance, tmp_path: Path
) -> None:
    file, options, suffix, codec, bits = LOSSLESS[name]
    source = recording(tmp_path / file, *options)
    output, plan = done(enhance, source, f"out{suffix}")
    stream = readers.streams(output)[1]
    assert stream["codec_name"] == codec
    assert stream.get("bits_per_raw_sample", str(stream["bits_per_sample"])) == bits
    assert readers.samples(output) == readers.samples(source)
    assert [(kind, fate) for kind, fate, _ in plan] == [("audio", "converted")]


LOSSY = {
    "wma": ("a.wmv", ["-c:v", "wmv2", "-bf", "0", "-c:a", "wmav2"], ".mkv", "flac"),
    "wma to mp4": ("a.wmv", ["-c:v", "wmv2", "-bf", "0", "-c:a", "wmav2"], ".mp4", "aac"),
    "nellymoser": ("a.flv", ["-c:a", "nellymoser", "-ac", "1", "-ar", "22050"], ".mkv", "flac"),
    "speex to mov": ("a.flv", ["-c:a", "libspeex", "-ac", "1", "-ar", "16000"], ".mov", "aac"),
    "latm": ("a.ts", ["-c:a", "aac", "-mpegts_flags", "+latm"], ".mkv", "flac"),
    "latm to mp4": ("a.ts", ["-c:a", "aac", "-mpegts_flags", "+latm"], ".mp4", "aac"),
    "vorbis to mov": ("a.mkv", ["-c:a", "libvorbis"], ".mov", "aac"),
    "g726 in avi": ("a.avi", ["-c:v", "mpeg4", "-c:a", "g726", "-ac", "1", "-ar", "8000"], ".mkv", "flac"),
    "swf adpcm": ("a.flv", ["-c:a", "adpcm_swf", "-ar", "44100"], ".mp4", "aac"),
}


@pytest.mark.parametrize("name", LOSSY)
def test_sound_with_loss_is_converted_and_stays_in_step(name: str, enhance: Enhance, tmp_path: Path) -> None:
    file, options, suffix, codec = LOSSY[name]
    source = recording(tmp_path / file, *options)
    output, plan = done(enhance, source, f"out{suffix}")
    assert plan == [("audio", "converted", codec)]
    assert readers.streams(output)[1]["codec_name"] == codec
    lengths = [readers.run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-ar", "8000", "-ac", "1", "-f", "s16le",
                           "-") for path in (source, output)]  # fmt: skip
    assert abs(len(lengths[0]) - len(lengths[1])) / 16000 < 0.08


@pytest.mark.parametrize("rate", [48000, 8000])
def test_sound_whose_decoder_goes_by_the_length_of_the_file_keeps_its_last_samples(
    rate: int, enhance: Enhance, tmp_path: Path
) -> None:
    source = recording(tmp_path / "a.mkv", "-c:a", "tta", "-ar", str(rate))
    output, plan = done(enhance, source, "out.mkv")
    assert plan == [("audio", "kept", "")]
    assert readers.samples(output) == readers.samples(source)


@pytest.mark.parametrize(
    ("written", "file", "suffix", "codec"),
    [
        ("mov_text", "a.mp4", ".mkv", "subrip"),
        ("srt", "a.mkv", ".mp4", "mov_text"),
        ("ass", "a.mkv", ".mov", "mov_text"),
        ("webvtt", "a.mkv", ".mp4", "mov_text"),
    ],
)
def test_text_subtitles_are_converted_with_times_lines_and_italics(
    written: str, file: str, suffix: str, codec: str, enhance: Enhance, tmp_path: Path
) -> None:
    (tmp_path / "a.srt").write_text(SRT)
    plain = recording(tmp_path / "plain.mkv", "-c:a", "flac")
    options = ["-map", "0:v", "-map", "1", "-c:v", "copy", "-c:s", written, "-metadata:s:s", "language=fra"]
    source = ffmpeg(tmp_path / file, "-i", plain, "-i", tmp_path / "a.srt", *options)
    output, plan = done(enhance, source, f"out{suffix}")
    assert plan == [("subtitle", "converted", codec)]
    subtitles = readers.streams(output)[1]
    assert (subtitles["codec_name"], subtitles["tags"]["language"]) == (codec, "fra")
    assert readers.srt(output) == SRT


def test_subtitles_that_overlap_are_all_shown_in_mp4(enhance: Enhance, tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text(
        "1\n00:00:00,200 --> 00:00:01,200\nsign\n\n2\n00:00:00,500 --> 00:00:00,800\nspeech\n"
    )
    source = ffmpeg(tmp_path / "a.mkv", *readers.PICTURE, "-i", tmp_path / "a.srt", *readers.H264, "-c:s", "ass")
    output, _ = done(enhance, source, "out.mp4")
    assert readers.srt(output).split("\n\n") == [
        "1\n00:00:00,200 --> 00:00:00,500\nsign",
        "2\n00:00:00,500 --> 00:00:00,800\nsign\nspeech",
        "3\n00:00:00,800 --> 00:00:01,200\nsign",
    ]


CHAPTERS = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=Eins\n" + (
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Zwei\n"
)


@pytest.mark.parametrize(
    ("file", "suffix"), [("a.mp4", ".mp4"), ("a.mov", ".mov"), ("a.mp4", ".mkv"), ("a.mkv", ".mp4")]
)
def test_chapters_come_out_as_chapters(file: str, suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    (tmp_path / "chapters.txt").write_text(CHAPTERS)
    inputs = (*readers.PICTURE, *readers.SOUND, "-i", tmp_path / "chapters.txt")
    source = ffmpeg(tmp_path / file, *inputs, "-map_metadata", "2", *readers.H264, "-c:a", "aac")
    output, _ = done(enhance, source, f"out{suffix}")
    found = json.loads(readers.run("ffprobe", "-v", "error", "-show_chapters", "-of", "json", output))["chapters"]
    assert [(chapter["tags"]["title"], float(chapter["start_time"])) for chapter in found] == [
        ("Eins", 0),
        ("Zwei", 0.9),
    ]


def test_a_cover_and_fonts_keep_their_bytes(enhance: Enhance, tmp_path: Path) -> None:
    cover = ffmpeg(tmp_path / "cover.jpg", "-f", "lavfi", "-i", "testsrc=s=40x40", "-frames:v", "1")
    font = tmp_path / "Example.ttf"
    font.write_bytes(bytes(range(256)) * 3)
    plain = recording(tmp_path / "plain.mkv", "-c:a", "flac")
    source = tmp_path / "a.mkv"
    readers.run("mkvmerge", "-q", "-o", source, "--attachment-mime-type", "font/ttf", "--attach-file", font,
                "--attach-file", cover, plain)  # fmt: skip
    output, plan = done(enhance, source, "out.mkv")
    assert [fate for _, fate, _ in plan] == ["kept", "kept", "kept"]
    attached = readers.tracks(output)["attachments"]
    assert [(one["file_name"], one["content_type"]) for one in attached] == [
        ("Example.ttf", "font/ttf"),
        ("cover.jpg", "image/jpeg"),
    ]
    readers.run("mkvextract", "-q", output, "attachments", f"1:{tmp_path / 'font'}", f"2:{tmp_path / 'picture'}")
    assert (tmp_path / "font").read_bytes() == font.read_bytes()
    assert (tmp_path / "picture").read_bytes() == cover.read_bytes()


@pytest.mark.parametrize(("suffix", "fate"), [(".mp4", "kept"), (".mkv", "kept"), (".mov", "dropped")])
def test_the_cover_of_an_mp4_goes_where_the_container_has_a_place(
    suffix: str, fate: str, enhance: Enhance, tmp_path: Path
) -> None:
    cover = ffmpeg(tmp_path / "cover.png", "-f", "lavfi", "-i", "testsrc=s=40x40", "-frames:v", "1")
    plain = recording(tmp_path / "plain.mp4", "-c:a", "aac")
    source = ffmpeg(tmp_path / "a.mp4", "-i", plain, "-i", cover, "-map", "0", "-map", "1", "-c", "copy",
                    "-disposition:v:1", "attached_pic")  # fmt: skip
    output, plan = done(enhance, source, f"out{suffix}")
    assert plan[-1] == ("video", fate, "")
    pictures = [stream for stream in readers.streams(output) if stream["disposition"]["attached_pic"]]
    assert len(pictures) == (fate == "kept")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_second_picture_is_kept_as_it_is(suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    second = ("-f", "lavfi", "-i", "testsrc=s=80x48:r=25:d=2")
    source = ffmpeg(tmp_path / "a.ts", *readers.PICTURE, *second, "-map", "0", "-map", "1", *readers.H264)
    output, plan = done(enhance, source, f"out{suffix}")
    assert plan == [("video", "kept", "")]
    sizes = [(stream["codec_name"], stream["width"]) for stream in readers.streams(output)]
    assert sizes == [("h264", 192), ("h264", 80)]
    hashes = [
        readers.run("ffmpeg", "-v", "error", "-i", path, "-map", "0:1", "-f", "md5", "-") for path in (source, output)
    ]
    assert hashes[0] == hashes[1]


def test_only_the_streams_of_the_pictures_own_programme_are_kept(enhance: Enhance, tmp_path: Path) -> None:
    both = ("-map", "0:v", "-map", "1:a", "-map", "0:v", "-map", "1:a", *readers.H264, "-c:a", "mp2")
    named = ("-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3")
    source = ffmpeg(tmp_path / "a.ts", *readers.PICTURE, *readers.SOUND, *both, *named)
    output, plan = done(enhance, source, "out.mkv")
    assert plan == [("audio", "kept", ""), ("video", "dropped", ""), ("audio", "dropped", "")]
    assert [stream["codec_type"] for stream in readers.streams(output)] == ["video", "audio"]


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_a_track_that_ffmpeg_does_not_know_is_listed(suffix: str, enhance: Enhance, tmp_path: Path) -> None:
    source = recording(tmp_path / "a.mov", "-map", "0", "-map", "1", "-map", "1", "-c:a", "aac")
    data = source.read_bytes()
    place = data.rindex(b"stsd")
    described = data[place:].replace(b"mp4a", b"apac").replace(b"esds", b"none")
    source.write_bytes(data[:place] + described)
    output, plan = done(enhance, source, f"out{suffix}")
    assert plan == [("audio", "kept", ""), ("audio", "dropped", "")]
    assert len(readers.streams(output)) == 2


def test_truehd_and_dts_are_kept_in_mp4(enhance: Enhance, tmp_path: Path) -> None:
    codecs = ("-map", "0", "-map", "1", "-map", "1", "-c:a:0", "truehd", "-c:a:1", "dca", "-strict", "-2")
    source = recording(tmp_path / "a.mkv", *codecs)
    output, plan = done(enhance, source, "out.mp4")
    assert plan == [("audio", "kept", ""), ("audio", "kept", "")]
    assert [readers.samples(output, f"0:a:{n}") for n in (0, 1)] == [
        readers.samples(source, f"0:a:{n}") for n in (0, 1)
    ]


def test_a_strict_job_refuses_what_would_be_converted_and_takes_what_would_not(
    enhance: Enhance, tmp_path: Path
) -> None:
    source = recording(tmp_path / "a.mov", "-c:a", "pcm_s24le")
    with pytest.raises(InputUnsupported, match="pcm_s24le"):
        enhance(source, "out.mp4", gate=False, strict=True)
    assert enhance(source, "out.mov", gate=False, strict=True)["output"]


def test_a_picture_codec_that_does_not_fit_is_refused_with_what_does(enhance: Enhance, tmp_path: Path) -> None:
    source = recording(tmp_path / "a.mp4", "-c:a", "aac")
    with pytest.raises(ContainerMismatch) as refused:
        enhance(source, "out.webm")
    assert ".mkv" in str(refused.value.hint)
