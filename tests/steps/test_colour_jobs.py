"""Colour through whole jobs: what a source says and leaves unsaid is what its output says, by ffprobe's reading."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import RehearsalFailed
from sr_tasks.records.codecs import CODECS
from tests.clips import Clip, make
from tests.steps.conftest import Enhance

UNSAID: dict[str, Any] = {"color_range": 0, "color_primaries": 2, "color_trc": 2, "colorspace": 2}
TAGS = ("color_range", "color_primaries", "color_transfer", "color_space")
SOURCES = {
    "h264": (".mp4", "libx264", "yuv420p"),
    "hevc": (".mp4", "libx265", "yuv420p"),
    "ffv1": (".mkv", "ffv1", "yuv420p"),
    "av1": (".mp4", "libsvtav1", "yuv420p"),
    "vp9": (".mp4", "libvpx-vp9", "yuv420p"),
    "prores": (".mov", "prores_ks", "yuv422p10le"),
}
PARTS: dict[str, dict[str, int]] = {
    "nothing": {},
    "all": {"color_range": 1, "color_primaries": 9, "color_trc": 18, "colorspace": 9},
    "full range": {"color_range": 2},
    "matrix": {"colorspace": 6},
    "primaries": {"color_primaries": 1},
    "transfer": {"color_trc": 13},
}


def tags(path: Path) -> dict[str, str]:
    """The colour tags of the first video stream, as Debian's ffprobe reads them; what it does not know is left out."""
    asked = ["-select_streams", "v:0", "-show_entries", f"stream={','.join(TAGS)}", "-of", "default=nw=1"]
    text = subprocess.run(["ffprobe", "-v", "error", *asked, str(path)], capture_output=True, text=True, check=True)
    pairs = (line.split("=", 1) for line in text.stdout.splitlines())
    return {name: value for name, value in pairs if value not in ("unknown", "N/A")}


def meaning(path: Path) -> dict[str, str]:
    """The same, with the range that unsaid YUV has."""
    return {"color_range": "tv"} | tags(path)


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize("source_codec", list(SOURCES))
def test_an_untagged_source_passes_and_gets_no_tags(
    source_codec: str, codec: str, enhance: Enhance, tmp_path: Path
) -> None:
    suffix, encoder, pix_fmt = SOURCES[source_codec]
    source = make(
        tmp_path / f"clip{suffix}",
        Clip(frames=3, width=64, height=48, codec=encoder, pix_fmt=pix_fmt, **UNSAID),
    )
    output = Path(enhance(source, f"out{CODECS[codec].suffix}", codec=codec)["output"])
    assert meaning(output) == meaning(source) == {"color_range": "tv"}


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("h264", ".mp4"),
        ("h264", ".mkv"),
        ("hevc", ".mov"),
        ("hevc", ".mkv"),
        ("ffv1", ".mkv"),
        ("av1", ".mp4"),
        ("vp9", ".webm"),
        ("prores", ".mov"),
    ],
)
def test_a_partly_tagged_source_keeps_what_it_says(
    part: str, codec: str, suffix: str, enhance: Enhance, tmp_path: Path
) -> None:
    source = make(tmp_path / "clip.mp4", Clip(frames=3, width=64, height=48, **UNSAID | PARTS[part]))
    if codec == "prores" and part == "full range":  # ProRes is of limited range, and says nothing of it
        with pytest.raises(RehearsalFailed, match="color_range 2 became 1"):
            enhance(source, f"out{suffix}", codec=codec)
        return
    output = Path(enhance(source, f"out{suffix}", codec=codec)["output"])
    assert meaning(output) == meaning(source)
    assert len(meaning(source)) == len({"color_range"} | set(PARTS[part]))
