"""What the plan of streams says of sound of many channels, container by container."""

from pathlib import Path

import pytest

from sr_tasks.media.probe import probe
from sr_tasks.records.codecs import CODECS
from sr_tasks.records.containers import TARGETS
from sr_tasks.streams.plan import plan_streams
from tests import readers

LAYOUTS = {6: "5.1", 8: "7.1"}
PCM = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le")


def source(path: Path, codec: str, channels: int) -> Path:
    noise = f"anoisesrc=d=0.4:r=48000,aformat=channel_layouts={LAYOUTS[channels]}"
    picture = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4")
    return readers.ffmpeg(path, *picture, "-f", "lavfi", "-i", noise, *readers.H264, "-c:a", codec)


def planned(path: Path, suffix: str) -> tuple[str, str, str]:
    """Fate, encoder and reason of the sound."""
    codec = next(row.name for row in CODECS.values() if TARGETS[suffix] in row.muxers)
    row = next(row for row in plan_streams(path, probe(path), suffix, codec) if row.type == "audio")
    return row.fate, row.target, row.reason


@pytest.mark.parametrize("channels", LAYOUTS)
@pytest.mark.parametrize("codec", PCM)
@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_mov_and_matroska_keep_pcm_of_many_channels(suffix: str, codec: str, channels: int, tmp_path: Path) -> None:
    for file in ("a.mov", "a.mkv"):
        assert planned(source(tmp_path / file, codec, channels), suffix) == ("kept", "", "")


@pytest.mark.parametrize("channels", LAYOUTS)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
def test_mp4_has_pcm_of_matroska_as_flac_without_loss(codec: str, channels: int, tmp_path: Path) -> None:
    fate, target, reason = planned(source(tmp_path / "a.mkv", codec, channels), ".mp4")
    assert (fate, target) == ("converted", "flac")
    assert reason.endswith("without loss")


@pytest.mark.parametrize("channels", LAYOUTS)
@pytest.mark.parametrize("codec", PCM)
def test_webm_has_pcm_as_opus(codec: str, channels: int, tmp_path: Path) -> None:
    fate, target, _ = planned(source(tmp_path / "a.mkv", codec, channels), ".webm")
    assert (fate, target) == ("converted", "libopus")


@pytest.mark.parametrize("codec", PCM)
def test_channels_in_an_order_of_their_own_are_dropped_where_they_would_have_to_be_converted(
    codec: str, tmp_path: Path
) -> None:
    fate, target, reason = planned(source(tmp_path / "a.mov", codec, 8), ".webm")
    assert (fate, target) == ("dropped", "")
    assert reason == (
        f"a .webm file holds no {codec}; its channels are in an order of their own, so that it cannot be converted"
    )
