"""Pictures that players turn or mirror."""

from pathlib import Path

import pytest

from tests.boxes import turned
from tests.readers import H264, exif, ffmpeg
from tests.steps.conftest import Enhance


def clip(path: Path, *options: str) -> Path:
    return ffmpeg(path, "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.4", *options)


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
