"""The tables of containers beside FFmpeg: muxers that exist, encoders that they take, sound that keeps its samples."""

import io
from itertools import product
from pathlib import Path
from typing import Any

import av
import pytest

from sr_tasks.records import containers
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.containers import TARGETS
from sr_tasks.records.media import FLAT, VideoInfo, ViewInfo
from tests import readers

MUXERS = sorted(set(TARGETS.values()))
SOUND_FORMATS = ("u8", "s16", "s32", "flt", "dbl")
WITH_LOSS = ("mp3", "vorbis", "wmav2")
WITHOUT_LOSS = ("flac", "alac", "truehd", "wavpack", "pcm_u8", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_f32be",
                "pcm_bluray", "s302m")  # fmt: skip

FILES = {"tta": ".tta", "s302m": ".ts"}
"""Suffixes of files that hold what NUT does not."""


@pytest.mark.parametrize("suffix", TARGETS)
def test_a_target_is_a_muxer_of_ffmpeg_and_its_own_demuxer_reads_it(suffix: str, tmp_path: Path) -> None:
    muxer = av.ContainerFormat(TARGETS[suffix], "w")
    assert muxer.is_output
    path = readers.ffmpeg(tmp_path / "a.mkv", *readers.PICTURE, "-frames:v", 3, "-c:v", "libvpx-vp9")
    codec = "h264" if suffix == ".mov" else "copy"
    target = readers.ffmpeg(tmp_path / f"b{suffix}", "-i", path, "-c:v", codec, "-f", TARGETS[suffix])
    with av.open(str(target)) as container:
        assert TARGETS[suffix] in (*container.format.name.split(","), "webm" if suffix == ".webm" else "")


@pytest.mark.parametrize("table", ["TEXT_TARGETS", "LOSSLESS_TARGETS", "LOSSY_TARGETS"])
def test_every_container_has_an_encoder_that_exists_and_whose_packets_it_takes(table: str) -> None:
    row = getattr(containers, table)
    assert sorted(row) == MUXERS
    for muxer, encoder in row.items():
        codec = av.Codec(encoder, "w")
        with av.open(io.BytesIO(), "w", format=muxer) as container:
            assert codec.canonical_name in container.supported_codecs


@pytest.mark.parametrize("codec", CODECS)
def test_a_codecs_muxers_hold_it_by_ffmpegs_own_account(codec: str) -> None:
    for muxer in CODECS[codec].muxers | CODECS[codec].alpha_muxers | {CODECS[codec].chunk_muxer}:
        with av.open(io.BytesIO(), "w", format=muxer) as container:
            if muxer in CODECS[codec].muxers or muxer == CODECS[codec].chunk_muxer:
                assert codec in container.supported_codecs, muxer


@pytest.mark.parametrize("muxer", MUXERS)
@pytest.mark.parametrize("codec", [*WITHOUT_LOSS, *WITH_LOSS])
def test_sound_goes_to_an_encoder_that_the_container_takes(muxer: str, codec: str) -> None:
    for sample_format in SOUND_FORMATS:
        encoder = av.Codec(containers.sound_target(muxer, codec, f"{sample_format}p"), "w")
        with av.open(io.BytesIO(), "w", format=muxer) as container:
            assert encoder.canonical_name in container.supported_codecs
        assert containers.is_read_everywhere(muxer, encoder.canonical_name)
        if containers.loses_nothing(codec, encoder.name):
            assert codec in WITHOUT_LOSS
            assert encoder.lossless


@pytest.mark.parametrize(
    ("muxer", "codec"),
    [
        ("mp4", "pcm_s16be"), ("mp4", "pcm_s24be"), ("mp4", "pcm_s32be"), ("mp4", "pcm_f32be"), ("mp4", "pcm_f64be"),
        ("mp4", "wavpack"), ("mov", "wavpack"), ("mov", "flac"), ("mov", "tta"), ("mp4", "tta"), ("matroska", "s302m"),
        ("matroska", "pcm_f32be"), ("matroska", "pcm_f64be"), ("matroska", "pcm_u16le"),
    ],
)  # fmt: skip
def test_sound_said_to_lose_nothing_has_the_very_samples_by_another_decoder(
    muxer: str, codec: str, tmp_path: Path
) -> None:
    noise = ("-f", "lavfi", "-i", "anoisesrc=d=0.2:r=48000:a=0.7:seed=7", "-ac", 2)
    source = readers.ffmpeg(tmp_path / f"source{FILES.get(codec, '.nut')}", *noise, "-c:a", codec, "-strict", "-2")
    with av.open(str(source)) as container:
        sample_format = container.streams.audio[0].format.name
    target = containers.sound_target(muxer, codec, sample_format)
    output = readers.ffmpeg(tmp_path / "output", "-i", source, "-c:a", target, "-strict", "-2", "-f", muxer)
    if containers.loses_nothing(codec, target):
        assert wide(output) == wide(source)
    else:
        assert wide(output) != wide(source), "and no less is said of it than is true"


def wide(path: Path) -> bytes:
    """The decoded samples as 64-bit floats, which hold those of every format."""
    return readers.run("ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-f", "f64le", "-")


def video(chroma: str, location: int) -> VideoInfo:
    fields: dict[str, Any] = {"chroma": chroma, "pix_fmt": f"yuv{chroma}p", "chroma_location": location}
    return VideoInfo.model_construct(**fields)


def test_where_chroma_lies_is_said_once_or_reported_as_lost() -> None:
    for codec, muxer, location in product(CODECS, MUXERS, range(7)):
        found = video("420", location)
        stated, lost = containers.siting_is_stated(codec, muxer, found), containers.loses_siting(codec, muxer, found)
        assert not (stated and lost), (codec, muxer, location)
        whole = video("444", location)
        assert not containers.siting_is_stated(codec, muxer, whole)
        assert not containers.loses_siting(codec, muxer, whole)


def test_a_container_says_no_more_of_a_view_than_the_source_did() -> None:
    for muxer, stereo, is_right_first in product(MUXERS, ("mono", "side by side", "frame sequence"), (False, True)):
        view = ViewInfo.model_validate({"stereo": stereo, "is_right_first": is_right_first, "projection": "cubemap"})
        found = containers.stated_view(view, muxer)
        assert found.stereo in (view.stereo, FLAT.stereo)
        assert found.projection in (view.projection, FLAT.projection)
        assert containers.stated_view(found, muxer) == found, "asked again it stays"
