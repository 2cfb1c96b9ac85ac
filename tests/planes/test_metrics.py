"""Metrics of a picture against independent implementations."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import metrics as reference

from sr_tasks.planes import metrics

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def textures() -> tuple[Bytes, Bytes]:
    rng = np.random.default_rng(0)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (96, 128)).astype(np.uint8), (0, 0), 1.5)
    return np.asarray(np.clip(truth + rng.normal(0, 5, truth.shape), 0, 255), np.uint8), np.asarray(truth, np.uint8)


def test_psnr_and_ssim_agree_with_scikit_image(textures: tuple[Bytes, Bytes]) -> None:
    inner = (slice(2, -2),) * 2
    found, truth = (plane[inner] for plane in textures)
    assert metrics.psnr(*textures, crop=2) == pytest.approx(reference.peak_signal_noise_ratio(truth, found), abs=1e-9)
    _, whole = reference.structural_similarity(
        truth, found, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert metrics.ssim(*textures, crop=2) == pytest.approx(float(whole[5:-5, 5:-5].mean()), abs=1e-9)


def test_equal_pictures_have_the_highest_psnr_and_no_error(textures: tuple[Bytes, Bytes]) -> None:
    _, truth = textures
    assert metrics.psnr(truth, truth) == metrics.PSNR_CAP
    assert metrics.psnr_db(0.0) == np.inf
    assert metrics.rms_error([truth], [truth]) == 0


def test_codes_of_ten_bits_have_their_own_peak() -> None:
    assert metrics.psnr_db(16.0, 1023) == pytest.approx(
        reference.peak_signal_noise_ratio(np.zeros(4), np.full(4, 4.0), data_range=1023)
    )


def test_the_edge_metric_is_the_published_equation(textures: tuple[Bytes, Bytes]) -> None:
    """Written out px by px from the paper's formulas."""
    found, truth = (plane[:24, :24].astype(float) for plane in textures)

    def magnitude(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        half = (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
        out = np.zeros((10, 10))
        for y in range(10):
            for x in range(10):
                window = half[y : y + 3, x : x + 3]
                out[y, x] = np.hypot((window[:, 0] - window[:, 2]).sum() / 3, (window[0] - window[2]).sum() / 3)
        return out

    a, b = magnitude(found), magnitude(truth)
    expected = ((2 * a * b + 170) / (a * a + b * b + 170)).std()
    assert metrics.gmsd(found.astype(np.uint8), truth.astype(np.uint8)) == pytest.approx(expected, abs=1e-9)


def test_blurred_edges_and_a_shifted_edge_are_edge_errors() -> None:
    edge = np.full((64, 64), 40, np.uint8)
    edge[:, 32:] = 200
    blurred = np.asarray(cv2.GaussianBlur(edge, (0, 0), 2.5), np.uint8)
    assert metrics.gmsd(edge, edge) == 0
    assert metrics.gmsd(blurred, edge) > 0.02
    assert metrics.gmsd(np.roll(edge, 4, axis=1), edge) > 0.02


def test_flicker_follows_the_pan_and_sees_only_what_changes() -> None:
    rng = np.random.default_rng(3)
    canvas = rng.integers(0, 256, (80, 120)).astype(np.uint8)
    panned = [canvas[3 * n : 3 * n + 60, 5 * n : 5 * n + 90] for n in range(5)]
    assert metrics.flicker(panned, (3, 5)) == 0
    assert metrics.flicker(panned, (0, 0)) > 20
    pulsing = [np.asarray(frame // 2 + 6 * (n % 2), np.uint8) for n, frame in enumerate(panned)]
    assert metrics.flicker(pulsing, (3, 5)) == pytest.approx(6.0)
