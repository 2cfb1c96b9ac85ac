"""Figures of one frame against independent oracles."""

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from sr_tasks.planes.metrics import PSNR_CAP
from sr_tasks.quality.figures import Comparer, FrameFigures, Look, Picture, output_picture, source_picture
from sr_tasks.quality.frames import Frame

HEIGHT, WIDTH = 120, 168


def scene(seed: int = 1, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip(120 + smooth * 150, 16, 235).astype(np.uint8)


def picture(luma: np.ndarray, *chroma: np.ndarray) -> Picture:
    return source_picture(Frame(pts=0, planes=(luma, *chroma), bit_depth=8))


def compare(source: Picture, output: Picture) -> FrameFigures:
    height, width = source.luma.shape
    return Comparer(width, height).compare(source, output, lambda _: Look())


def noisy(luma: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(9).normal(0, sigma, luma.shape)
    return np.clip(np.round(luma + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [1, 4, 12])
def test_psnr_is_that_of_scikit_image(sigma: float) -> None:
    a, b = scene(), noisy(scene(), sigma)
    assert compare(picture(a), picture(b)).psnr == pytest.approx(
        peak_signal_noise_ratio(a, b, data_range=255), abs=1e-6
    )


def test_psnr_of_equal_planes_is_capped() -> None:
    assert compare(picture(scene()), picture(scene())).psnr == PSNR_CAP


@pytest.mark.parametrize(
    "spoil", [lambda y: noisy(y, 3), lambda y: noisy(y, 12), lambda y: cv2.GaussianBlur(y, (0, 0), 2)]
)
def test_ssim_is_the_mean_of_its_definition_over_cells(spoil) -> None:  # type: ignore[no-untyped-def]
    a, b = scene(), spoil(scene())
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    cells = []
    for y in range(0, HEIGHT, 8):
        for x in range(0, WIDTH, 8):
            first, second = (p[y : y + 8, x : x + 8].astype(float) for p in (a, b))
            covariance = np.mean((first - first.mean()) * (second - second.mean()))
            luminance = (2 * first.mean() * second.mean() + c1) / (first.mean() ** 2 + second.mean() ** 2 + c1)
            cells.append(luminance * (2 * covariance + c2) / (first.var() + second.var() + c2))
    assert compare(picture(a), picture(b)).ssim == pytest.approx(np.mean(cells), abs=2e-4)


@pytest.mark.parametrize("sigma", [2, 6, 15])
def test_ssim_is_close_to_that_of_scikit_image(sigma: float) -> None:
    a, b = scene(), noisy(scene(), sigma)
    expected = structural_similarity(a, b, data_range=255, win_size=7, use_sample_covariance=False)
    assert compare(picture(a), picture(b)).ssim == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("dx", "dy"), [(0.25, 0.0), (0.0, -0.25), (0.35, 0.35), (-0.5, 0.1)])
def test_displacement_is_measured_below_a_pixel(dx: float, dy: float) -> None:
    a = scene()
    move = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
    b = cv2.warpAffine(a, move, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    geometry = compare(picture(a), picture(b)).geometry
    assert geometry is not None
    assert geometry.pixel_shift == pytest.approx(np.hypot(dx, dy), rel=0.25)


@pytest.mark.parametrize("spoil", [lambda y: noisy(y, 6), lambda y: cv2.GaussianBlur(y, (0, 0), 0.8)])
def test_noise_and_blur_are_no_displacement(spoil) -> None:  # type: ignore[no-untyped-def]
    geometry = compare(picture(scene()), picture(spoil(scene()))).geometry
    assert geometry is not None
    assert geometry.pixel_shift < 0.03


def test_a_flat_picture_has_no_displacement() -> None:
    flat = np.full((HEIGHT, WIDTH), 90, np.uint8)
    geometry = compare(picture(flat), picture(noisy(flat, 3))).geometry
    assert geometry is not None
    assert geometry.pixel_shift < 0.03


def test_the_worst_block_is_found_where_it_is() -> None:
    spoilt = scene()
    spoilt[56:88, 104:136] = 16
    figures = compare(picture(scene()), picture(spoilt))
    assert (figures.block_psnr.x, figures.block_psnr.y) == (104, 56)
    expected = peak_signal_noise_ratio(scene()[56:88, 104:136], spoilt[56:88, 104:136], data_range=255)
    assert figures.block_psnr.value == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_seam_is_found_where_it_is(axis: int) -> None:
    spoilt = noisy(scene(), 2).astype(np.int16)
    line = [slice(None), slice(None)]
    line[1 - axis] = slice(70, 71)
    spoilt[tuple(line)] += 12
    geometry = compare(picture(scene()), picture(np.clip(spoilt, 0, 255).astype(np.uint8))).geometry
    assert geometry is not None
    found = (geometry.seam.x, geometry.seam.y)[axis]
    assert found in (69, 70)
    assert (geometry.seam.x, geometry.seam.y)[1 - axis] == -1


def test_shifts_of_planes_are_signed_and_named_by_place() -> None:
    u, v = scene(2, HEIGHT // 2, WIDTH // 2), scene(3, HEIGHT // 2, WIDTH // 2)
    color = compare(picture(scene(), u, v), picture(scene() - 3, u, v + 5)).color
    assert color is not None
    assert color.plane_shifts == pytest.approx((-3, 0, 5), abs=0.15)


def test_colour_error_sees_a_mix_of_planes_and_no_noise() -> None:
    u, v = scene(2, HEIGHT // 2, WIDTH // 2), scene(3, HEIGHT // 2, WIDTH // 2)
    leaked = np.clip(v + 0.2 * (u - 128.0), 0, 255).astype(np.uint8)
    mixed = compare(picture(scene(), u, v), picture(scene(), u, leaked)).color
    spoilt = compare(picture(scene(), u, v), picture(noisy(scene(), 5), noisy(u, 5), noisy(v, 5))).color
    assert mixed is not None
    assert spoilt is not None
    cells = cv2.resize(u, (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    fours = (cells[1:, 1:] + cells[:-1, 1:] + cells[1:, :-1] + cells[:-1, :-1]) / 4
    assert mixed.color_error == pytest.approx(0.2 * fours.std(), rel=0.15)
    assert spoilt.color_error < 0.3


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("depth", [8, 10, 12])
def test_downscaling_gives_the_source_back(scale: int, depth: int) -> None:
    """A band-limited picture enlarged by an ideal (Fourier) interpolation."""
    waves = np.fft.fft2(np.random.default_rng(4).normal(0, 1, (96, 128)))
    down, across = np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(128), indexing="ij")
    spectrum = waves * np.exp(-((down**2 + across**2) / 0.02))
    small = np.real(np.fft.ifft2(spectrum))
    spectrum *= 35 / small.std()
    spectrum[0, 0] = 120 * small.size
    small = np.real(np.fft.ifft2(spectrum))
    spectrum = np.fft.fftshift(spectrum)
    padded = np.pad(spectrum, [(96 * (scale - 1) // 2,) * 2, (128 * (scale - 1) // 2,) * 2])
    large = np.real(np.fft.ifft2(np.fft.ifftshift(padded))) * scale**2
    # the ideal samples sit at the corners; move them to the centres that video scaling uses
    offset = (scale - 1) / 2
    move = np.array([[1, 0, offset], [0, 1, offset]], np.float32)
    large = cv2.warpAffine(large.astype(np.float32), move, (128 * scale, 96 * scale), flags=cv2.INTER_CUBIC)
    step = 2 ** (depth - 8)
    dtype = np.uint8 if depth == 8 else np.uint16
    source = source_picture(Frame(pts=0, planes=(np.round(small * step).astype(dtype),), bit_depth=depth))
    frame = Frame(pts=0, planes=(np.clip(np.round(large * step), 0, 255 * step).astype(dtype),), bit_depth=depth)
    output = output_picture(frame, 128, 96)
    inside = np.s_[8:-8, 8:-8]
    assert peak_signal_noise_ratio(source.luma[inside], output.luma[inside], data_range=255) > 51.5


def at_the_ends() -> list[np.ndarray]:
    """Luma and chroma that are soft, but for tiles of px that alternate with the strongest code or with none."""
    rng = np.random.default_rng(5)
    planes = []
    for side in ((144, 192), (72, 96), (72, 96)):
        tile = cv2.resize(rng.random((9, 12)).astype(np.float32), side[::-1], interpolation=cv2.INTER_NEAREST)
        soft = cv2.GaussianBlur(rng.normal(0, 1, side).astype(np.float32), (0, 0), 8) * 800 + 128
        is_end = rng.random(side) < 0.5
        plane = np.where(tile < 0.2, np.where(is_end, 255, 120), np.clip(soft, 40, 215))
        planes.append(np.where(tile > 0.8, np.where(is_end, 0, 130), plane).astype(np.uint8))
    return planes


def enlarged(planes: list[np.ndarray]) -> list[np.ndarray]:
    return [cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for plane in planes]


def colour_error(source: list[np.ndarray], output: list[np.ndarray]) -> float:
    frame = Frame(pts=0, planes=tuple(output), bit_depth=8)
    color = compare(picture(*source), output_picture(frame, 192, 144)).color
    assert color is not None
    return color.color_error


def test_what_the_ends_of_the_scale_cut_off_is_no_mix() -> None:
    """An enlargement of px that alternate overshoots, and black and white have no room for that."""
    source = at_the_ends()
    assert colour_error(source, enlarged(source)) < 0.6


def test_a_mix_is_found_in_a_picture_at_the_ends_of_the_scale() -> None:
    source = at_the_ends()
    luma, *chroma = enlarged(source)
    narrower = np.round(16 + luma * (219 / 255)).astype(np.uint8)
    assert colour_error(source, [narrower, *chroma]) > 4
