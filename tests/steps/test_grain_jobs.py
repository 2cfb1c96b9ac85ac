"""Grain that is kept through a restoration, or put in: its strength by brightness, its coarseness, its repetition."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_tasks.errors import UsageError
from tests.clips import make
from tests.readers import ffmpeg
from tests.steps.conftest import Enhance
from tests.steps.pictures import ffmpeg as raw

BARS, WIDTH, HEIGHT, FRAMES = 8, 48, 96, 6
SIGMAS = np.array([2.0, 3.0, 4.0, 4.5, 4.0, 3.5, 3.0, 2.0])
CHROMA = 1.5


def grainy(path: Path, sigmas: np.ndarray = SIGMAS, chroma: float = CHROMA) -> Path:
    """Bars from dark to bright with a faint slope, and grain of another strength in each."""
    random = np.random.default_rng(5)
    bars = np.repeat(24.0 + 30.0 * np.arange(BARS), WIDTH)[None, :] + np.linspace(-3, 3, HEIGHT)[:, None]
    strength = np.repeat(sigmas, WIDTH)[None, :]
    frames = []
    for _ in range(FRAMES):
        planes = [bars + random.normal(size=bars.shape) * strength]
        planes += [np.full((HEIGHT // 2, BARS * WIDTH // 2), 128.0) for _ in range(2)]
        for plane in planes[1:]:
            plane += random.normal(size=plane.shape) * chroma
        frames += [np.clip(np.rint(plane), 0, 255).astype(np.uint8).tobytes() for plane in planes]
    layout = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{BARS * WIDTH}x{HEIGHT}", "-r", "25", "-i", "-")
    command = ["ffmpeg", "-v", "error", "-y", *layout, "-c:v", "ffv1", "-color_range", "tv", str(path)]
    subprocess.run(command, input=b"".join(frames), check=True)
    return path


def planes(path: Path, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma [n, rows, columns] and the first chroma plane."""
    width, height = BARS * WIDTH * scale, HEIGHT * scale
    data = np.frombuffer(raw("-i", path, "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"), np.uint8)
    each = data.reshape(-1, width * height * 3 // 2).astype(np.float64)
    luma, u = each[:, : width * height], each[:, width * height : width * height * 5 // 4]
    return luma.reshape(-1, height, width), u.reshape(-1, height // 2, width // 2)


def bars_of(plane: np.ndarray) -> list[np.ndarray]:
    """The middle of each bar without its slope, as every frame has it."""
    size = plane.shape[2] // BARS
    cuts = [plane[:, 8:-8, bar * size + size // 6 : (bar + 1) * size - size // 6] for bar in range(BARS)]
    return [cut - cut.mean(axis=(0, 2), keepdims=True) for cut in cuts]


def neighbours(cut: np.ndarray, step: int) -> float:
    return float((cut[:, :, step:] * cut[:, :, :-step]).mean() / cut.var())


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "by a filter, at its own size": (1, {"model": "identity", "denoise": "medium"}),
    "by a network": (2, {"model": "restore-x2", "denoise": "strong"}),
    "not at all": (2, {"model": "bicubic"}),
    "by a network that enlarges four times": (4, {"model": "restore-x4", "denoise": "medium"}),
}


@pytest.mark.parametrize(("scale", "spec"), CASES.values(), ids=CASES)
def test_grain_that_is_kept_is_as_strong_as_the_source_had_it(
    scale: int, spec: dict[str, Any], enhance: Enhance, tmp_path: Path
) -> None:
    result = enhance(grainy(tmp_path / "in.mkv"), "out.mkv", scale=scale, codec="ffv1", grain="keep", **spec)
    luma, u = planes(tmp_path / "out.mkv", scale)
    found = np.array([cut.std() for cut in bars_of(luma)])
    assert (np.abs(found / SIGMAS - 1.0) < 0.15).all(), found
    assert abs(u[:, 8:-8, 8:-8].std() / CHROMA - 1.0) < 0.15
    told = json.loads(Path(result["manifest"]).read_text())["model"]["grain"]
    assert len(told["luma"]) == 8
    assert np.abs(bars_of(luma)[4][0] - bars_of(luma)[4][1]).mean() > 2.0, "the grain of two frames is the same"


def test_grain_is_as_coarse_in_the_picture_as_it_was(enhance: Enhance, tmp_path: Path) -> None:
    """White grain of the source is grain of two px in an output of twice the size."""
    enhance(grainy(tmp_path / "in.mkv"), "out.mkv", codec="ffv1", grain="keep", model="restore-x2", denoise="strong")
    cut = bars_of(planes(tmp_path / "out.mkv", 2)[0])[3]
    assert 0.2 < neighbours(cut, 1) < 0.65
    assert neighbours(cut, 3) < 0.15


def test_grain_is_the_same_whole_and_in_chunks(
    enhance: Enhance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "in.mp4", frames=18, width=64, height=48, noise=5.0, options={"g": "6", "crf": "8"})
    wishes = {"codec": "ffv1", "grain": "keep", "scale": 1, "model": "identity", "denoise": "medium"}
    whole = enhance(source, "whole.mkv", **wishes)
    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 6)
    cut = enhance(source, "cut.mkv", **wishes)
    assert (whole["computed_chunks"], cut["computed_chunks"]) == (1, 3)
    hashes = [raw("-i", result["output"], "-f", "md5", "-") for result in (whole, cut)]
    assert hashes[0] == hashes[1]


def test_grain_of_a_strength_is_added_to_a_clean_source(enhance: Enhance, tmp_path: Path) -> None:
    source = grainy(tmp_path / "in.mkv", SIGMAS * 0, 0.0)
    for wish, middle in (("light", 2.0), ("strong", 7.0)):
        enhance(source, f"{wish}.mkv", codec="ffv1", grain=wish)
        luma, u = planes(tmp_path / f"{wish}.mkv", 2)
        assert bars_of(luma)[3].std() == pytest.approx(middle, rel=0.1)
        assert u.std() < 0.5


def test_a_still_picture_gets_no_grain(enhance: Enhance, tmp_path: Path) -> None:
    picture = ffmpeg(tmp_path / "in.png", "-f", "lavfi", "-i", "testsrc2=s=96x64", "-frames:v", "1")
    with pytest.raises(UsageError, match="grain=light is for videos"):
        enhance(picture, "out.png", grain="light")
