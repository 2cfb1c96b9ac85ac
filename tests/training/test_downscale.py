"""Resampling against Pillow, OpenCV and torch."""

import cv2
import numpy as np
import pytest
from PIL import Image

from sr_tasks.errors import UsageError
from sr_tasks.training.downscale import blur, downscale

BORDER = 12


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    rng = np.random.default_rng(5)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (96, 132)), (0, 0), 1.0)
    return np.clip((smooth - 127) * 3 + 127, 0, 255)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_antialiased_bicubic_equals_pillow_away_from_the_border(plane: np.ndarray, scale: int) -> None:
    height, width = plane.shape[0] // scale, plane.shape[1] // scale
    picture = Image.fromarray(plane.astype(np.float32))
    oracle = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    ours = downscale(plane, "bicubic", scale)
    inner = (slice(BORDER // scale, -BORDER // scale),) * 2
    assert np.abs(ours - oracle)[inner].max() < 1e-3


def test_aliased_down_scaling_equals_opencv_away_from_the_border(plane: np.ndarray) -> None:
    oracle = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    assert np.abs(downscale(plane, "aliased", 2) - oracle)[2:-2, 2:-2].max() < 1e-4


def test_area_down_scaling_equals_opencv(plane: np.ndarray) -> None:
    oracle = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert np.abs(downscale(plane, "area", 2) - oracle).max() < 1e-9


def test_blur_equals_opencv(plane: np.ndarray) -> None:
    oracle = cv2.GaussianBlur(plane, (7, 7), 0.9, borderType=cv2.BORDER_REFLECT)
    assert np.abs(blur(plane, 0.9) - oracle).max() < 1e-6


@pytest.mark.parametrize("kind", ["bicubic", "area", "aliased", "blurred"])
def test_a_flat_plane_stays_flat_up_to_its_border(kind: str) -> None:
    assert np.allclose(downscale(np.full((20, 14), 93.0), kind, 2), 93.0)


def test_a_side_that_is_no_multiple_of_the_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="15x16"):
        downscale(np.zeros((16, 15)), "area", 2)
