"""Jobs that take a part of a model's output, and plain resampling for the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clips import Clip, make
from tests.readers import ffmpeg
from tests.steps.conftest import Enhance
from tests.steps.pictures import ffmpeg as raw

MUTED = "lutrgb=r=64+val/2:g=64+val/2:b=64+val/2"
"""Colours that no sharpening takes out of range."""
CLIP = Clip(frames=5, width=96, height=64, noise=4)
CASES: dict[str, tuple[Clip, dict[str, Any], str]] = {
    "a network": (CLIP, {"model": "compact-x2"}, "bicubic"),
    "10 bits, resampled to three times the size": (
        Clip(frames=4, width=96, height=64, pix_fmt="yuv420p10le", noise=4),
        {"model": "compact-x2", "scale": 3},
        "bicubic",
    ),
    "a style": (CLIP, {"model": "ink-wash", "scale": 1, "gate": False}, "identity"),
}


def samples(path: Path, layout: str) -> np.ndarray:
    data = raw("-i", path, "-f", "rawvideo", "-pix_fmt", layout, "-")
    return np.frombuffer(data, "<u2" if "10" in layout or "48" in layout else np.uint8).astype(np.int32)


@pytest.mark.parametrize(("clip", "spec", "plain"), CASES.values(), ids=CASES)
def test_strength_goes_from_plain_resampling_to_the_model(
    clip: Clip, spec: dict[str, Any], plain: str, enhance: Enhance, tmp_path: Path
) -> None:
    source = make(tmp_path / "in.mkv", clip)
    common = {**spec, "codec": "ffv1"}
    enhance(source, "plain.mkv", **{**common, "model": plain})
    for name, strength in (("none", 0.0), ("third", 0.3), ("full", 1.0)):
        result = enhance(source, f"{name}.mkv", **common, strength=strength)
        told = json.loads(Path(result["manifest"]).read_text())["model"]
        assert (told["strength"], told["blended_with"]) == (strength, f"{plain}@1" if strength < 1 else None)
    enhance(source, "default.mkv", **common)
    soft, third, full = (samples(tmp_path / f"{name}.mkv", clip.pix_fmt) for name in ("none", "third", "full"))
    assert (soft == samples(tmp_path / "plain.mkv", clip.pix_fmt)).all()
    assert (full == samples(tmp_path / "default.mkv", clip.pix_fmt)).all()
    assert np.abs(full - soft).max() > 10
    assert np.abs(third - (soft + 0.3 * (full - soft))).max() <= 2.0


@pytest.mark.parametrize("is_folder", [False, True], ids=["alone", "in a folder"])
def test_pictures_are_blended_too(is_folder: bool, run: Any, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    ffmpeg(source / "a.png", "-f", "lavfi", "-i", f"mandelbrot=s=64x48,format=rgb24,{MUTED}", "-frames:v", "1")

    def enhanced(*options: str, model: str = "compact-x2") -> np.ndarray:
        if not is_folder:
            return samples(run(source / "a.png", *options, model=model, suffix=".png")[0], "rgb24")
        return samples(run(source, *options, model=model, suffix="")[0] / "a.png", "rgb24")

    soft, full = enhanced(model="bicubic"), enhanced()
    assert (enhanced("--strength", "0") == soft).all()
    assert np.abs(enhanced("--strength", "0.5") - (soft + full) / 2).max() <= 1.5
    assert np.abs(full - soft).max() > 10
