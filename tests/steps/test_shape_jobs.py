"""The shape that players show a picture in: px that are not square, and pictures that are turned or mirrored."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.boxes import turned
from tests.readers import H264, exif, ffmpeg, streams, tracks
from tests.steps.conftest import Enhance

ASPECTS = ("16/15", "64/45", "40/33")
TARGETS = (
    ("out.mkv", "ffv1"), ("out.mkv", "prores"), ("out.mkv", "av1"), ("out.webm", "vp9"), ("out.mp4", "av1"),
    ("out.mkv", "hevc"),
)  # fmt: skip


def clip(path: Path, *options: str) -> Path:
    return ffmpeg(path, "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.4", *options)


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize(("output", "codec"), TARGETS)
def test_px_that_are_not_square_stay_so(output: str, codec: str, aspect: str, tmp_path: Path, enhance: Enhance) -> None:
    source = clip(tmp_path / "in.mkv", "-vf", f"setsar={aspect}", *H264, "-metadata:s:v:0", "title=Main picture")
    enhance(source, output, codec=codec)
    (picture,) = streams(tmp_path / output)
    shown = Fraction(picture["sample_aspect_ratio"].replace(":", "/"))
    assert abs(shown - Fraction(aspect)) * picture["width"] <= 1
    if output.endswith((".mkv", ".webm")):
        (track,) = tracks(tmp_path / output)["tracks"]
        assert track["properties"]["track_name"] == "Main picture"
        if codec != "hevc":
            width = round(192 * Fraction(aspect))
            assert (track["properties"]["display_dimensions"], track["properties"]["display_unit"]) == (
                f"{width}x128",
                0,
            )


def test_a_picture_without_a_title_gets_none(tmp_path: Path, enhance: Enhance) -> None:
    enhance(clip(tmp_path / "in.mp4", "-vf", "setsar=16/15", *H264), "out.mkv", codec="ffv1")
    (track,) = tracks(tmp_path / "out.mkv")["tracks"]
    assert "track_name" not in track["properties"]


MATRICES = {
    "mirrored": (-1, 0, 0, 1, 96, 0),
    "upside down": (1, 0, 0, -1, 0, 64),
    "turned": (0, 1, -1, 0, 64, 0),
    "turned and mirrored": (0, 1, 1, 0, 0, 0),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
def test_players_turn_and_mirror_the_output_as_the_source(
    matrix: tuple[int, ...], tmp_path: Path, enhance: Enhance
) -> None:
    source = turned(clip(tmp_path / "plain.mp4", *H264), tmp_path / "in.mp4", matrix)
    enhance(source, "out.mp4")
    a, b, c, d, across, down = matrix
    assert exif(source)["MatrixStructure"] == f"{a} {b} 0 {c} {d} 0 {across} {down} 1"
    assert exif(tmp_path / "out.mp4")["MatrixStructure"] == f"{a} {b} 0 {c} {d} 0 {2 * across} {2 * down} 1"
