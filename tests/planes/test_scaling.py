"""Keys' cubic and rounding against torch and by hand."""

import cv2
import numpy as np
import pytest
import torch

from sr_tasks.planes.scaling import cubic, keys, resampling_matrix, to_codes

BORDER = 12


@pytest.fixture(scope="module")
def plane() -> np.ndarray:
    rng = np.random.default_rng(5)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (96, 132)), (0, 0), 1.0)
    return np.clip((smooth - 127) * 3 + 127, 0, 255)


def test_bicubic_enlargement_equals_torch_away_from_the_border(plane: np.ndarray) -> None:
    tensor = torch.from_numpy(plane)[None, None]
    oracle = torch.nn.functional.interpolate(tensor, scale_factor=2, mode="bicubic", antialias=True)[0, 0].numpy()
    ours = cubic(plane, plane.shape[0] * 2, plane.shape[1] * 2)
    assert np.abs(ours - oracle)[BORDER:-BORDER, BORDER:-BORDER].max() < 1e-9


def test_the_border_is_mirrored_with_its_own_sample() -> None:
    matrix = resampling_matrix(8, 4, a=-0.5, antialias=True)
    assert np.allclose(matrix, matrix[::-1, ::-1])
    padded = np.pad(np.arange(8.0), 8, mode="symmetric")
    assert np.allclose(matrix @ np.arange(8.0), (resampling_matrix(24, 12, a=-0.5, antialias=True) @ padded)[4:8])


def test_codes_are_rounded_half_up_and_clipped() -> None:
    assert to_codes(np.array([[-3.0, 0.49, 0.5, 254.5, 300.0]])).tolist() == [[0, 0, 1, 255, 255]]


def test_the_kernel_is_keys() -> None:
    """At the samples themselves it interpolates; between them it has the values of the paper for a = -0.5."""
    assert keys(np.arange(-3.0, 4.0)).tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert keys(np.array([0.5, 1.5])).tolist() == [0.5625, -0.0625]
