"""Jobs that restore: the picture comes nearer to what it was, at its own size too, and the manifest says by what."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import InputUnsupported, UsageError
from sr_tasks.jobs.spec import job_spec
from sr_tasks.planes.metrics import psnr
from tests.clips import luma, make
from tests.quality.twins import Picture, photograph, write_source
from tests.steps.conftest import Enhance

FRAMES = 10
Spoil = Callable[[np.ndarray, int], np.ndarray]


def noisy(picture: np.ndarray, number: int) -> np.ndarray:
    noise = np.random.default_rng(number).normal(0, 10, picture.shape[:2])[..., None]
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def jpeg(picture: np.ndarray, number: int) -> np.ndarray:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def soft(picture: np.ndarray, number: int) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)


def gradient(number: int) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(40, 100, 192), np.linspace(0, 30, 128))
    return np.repeat((x + y + number)[..., None], 3, axis=2)


def banded(picture: np.ndarray, number: int) -> np.ndarray:
    return np.clip(np.rint(picture / 5) * 5, 0, 255).astype(np.uint8)


def written(path: Path, spoil: Spoil | None = None, draw: Callable[[int], np.ndarray] | None = None) -> Path:
    shown = draw or photograph("astronaut", 192, 128)

    def picture(number: int) -> np.ndarray:
        return np.rint(shown(number)).astype(np.uint8) if spoil is None else spoil(shown(number), number)

    return write_source(path, Picture(draw=picture, frames=FRAMES, codec="ffv1", options={}))


@pytest.mark.parametrize(
    ("wish", "spoil", "draw", "least_db"),
    [
        ("denoise", noisy, None, 1.5),
        ("deblock", jpeg, None, 0.1),
        ("sharpen", soft, None, 0.8),
        ("deband", banded, gradient, 0.5),
    ],
)
def test_what_is_asked_for_brings_a_film_nearer_to_what_it_was_at_its_own_size(
    wish: str, spoil: Spoil, draw: Any, least_db: float, enhance: Enhance, tmp_path: Path
) -> None:
    truth, source = written(tmp_path / "truth.mkv", draw=draw), written(tmp_path / "in.mkv", spoil, draw)
    enhance(source, "out.mkv", model="auto", scale=1, codec="ffv1", **{wish: "medium"})
    before, after, wanted = (luma(tmp_path / name, 4) for name in ("in.mkv", "out.mkv", "truth.mkv"))
    assert psnr(after, wanted, crop=4) > psnr(before, wanted, crop=4) + least_db, truth
    told = json.loads((tmp_path / "out.mkv.manifest.json").read_text())
    assert told["request"][wish] == "medium"
    assert told["model"]["level"] > 0 or told["model"]["filters"]
    assert told["verdict"]["decision"] == "passed"


def test_without_a_wish_a_film_at_its_own_size_stays_as_it_is(enhance: Enhance, tmp_path: Path) -> None:
    source = written(tmp_path / "in.mkv")
    enhance(source, "out.mkv", model="identity", scale=1, codec="ffv1")
    assert all(np.array_equal(luma(source, n), luma(tmp_path / "out.mkv", n)) for n in range(FRAMES))


def test_a_film_restored_in_chunks_is_the_film_restored_at_once(
    enhance: Enhance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "in.mp4", frames=18, width=64, height=48, noise=8.0, options={"g": "6", "crf": "8"})
    wishes = {"denoise": "strong", "deblock": "light", "deband": "light", "sharpen": "light", "codec": "ffv1"}
    whole = enhance(source, "whole.mkv", **wishes)
    monkeypatch.setattr("sr_tasks.steps.plan.frames_worth_a_task", lambda *_: 6)
    cut = enhance(source, "cut.mkv", **wishes)
    assert (whole["computed_chunks"], cut["computed_chunks"]) == (1, 3)
    assert all(np.array_equal(luma(tmp_path / "whole.mkv", n), luma(tmp_path / "cut.mkv", n)) for n in range(18))


def test_another_strength_is_computed_anew(enhance: Enhance, settings: Settings, tmp_path: Path) -> None:
    source = make(tmp_path / "in.mp4", frames=6, width=64, height=48)
    light, strong = (enhance(source, f"{wish}.mp4", sharpen=wish) for wish in ("light", "strong"))
    assert (light["computed_chunks"], strong["computed_chunks"]) == (1, 1)


def test_a_film_of_many_bits_is_denoised_too_and_a_filter_that_cannot_is_refused(
    enhance: Enhance, tmp_path: Path
) -> None:
    kind: dict[str, Any] = {"frames": 4, "width": 96, "height": 64, "pix_fmt": "yuv420p10le", "codec": "ffv1"}
    truth, source = make(tmp_path / "truth.mkv", **kind), make(tmp_path / "in.mkv", noise=12.0, **kind)
    enhance(source, "out.mkv", model="identity", scale=1, codec="ffv1", denoise="medium")
    before, after, wanted = (luma(path, 2).astype(int) for path in (source, tmp_path / "out.mkv", truth))
    assert np.abs(after - wanted).mean() < 0.9 * np.abs(before - wanted).mean()
    with pytest.raises(InputUnsupported, match=r"deband.* cannot work in the pixel format yuv420p10le"):
        enhance(source, "other.mkv", deband="medium")


def test_a_level_and_a_strength_are_not_asked_for_at_once() -> None:
    with pytest.raises(UsageError, match="restore says a level and denoise or deblock a strength"):
        job_spec({"source": "a.mp4", "restore": 3.0, "denoise": "light"})
    assert job_spec({"source": "a.mp4", "restore": 3.0, "sharpen": "light"}).restore == 3.0
