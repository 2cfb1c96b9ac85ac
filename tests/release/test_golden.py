"""The golden set: its metrics against independent implementations, its sources, and how a model's figures come out."""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import metrics as reference

from sr_tasks.planes import metrics
from sr_tasks.planes.scaling import cubic
from sr_tasks.release.golden.items import GoldenItem, evaluate, golden_items
from sr_tasks.release.golden.planes import Planes, enlarged, to_planes, to_rgb
from sr_tasks.release.golden.scenes import drawn, photographs

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def items() -> tuple[GoldenItem, ...]:
    return golden_items(2)


@pytest.fixture(scope="module")
def textures() -> tuple[Bytes, Bytes]:
    rng = np.random.default_rng(0)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (96, 128)).astype(np.uint8), (0, 0), 1.5)
    return np.asarray(np.clip(truth + rng.normal(0, 5, truth.shape), 0, 255), np.uint8), np.asarray(truth, np.uint8)


def bicubic(planes: Planes, level: float) -> Sequence[Bytes]:
    return [enlarged(plane, 2) for plane in planes]


def test_psnr_and_ssim_agree_with_scikit_image(textures: tuple[Bytes, Bytes]) -> None:
    found, truth = textures
    inner = (slice(2, -2),) * 2
    assert metrics.psnr(found, truth, crop=2) == pytest.approx(
        reference.peak_signal_noise_ratio(truth[inner], found[inner]), abs=1e-6
    )
    _, whole = reference.structural_similarity(
        truth, found, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    assert metrics.ssim(found, truth) == pytest.approx(float(whole[5:-5, 5:-5].mean()), abs=1e-4)
    assert metrics.psnr(truth, truth) == metrics.PSNR_CAP


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


def test_bicubic_down_scaling_is_that_of_a_second_implementation() -> None:
    """Pillow's BICUBIC is antialiased, with the same kernel."""
    from PIL import Image

    truth = photographs()[1].rgb[..., 0].astype(np.float64)
    small = cubic(truth, truth.shape[0] // 2, truth.shape[1] // 2)
    other = np.asarray(Image.fromarray(truth.astype(np.float32)).resize(small.shape[::-1], Image.Resampling.BICUBIC))
    assert np.abs(small - other)[4:-4, 4:-4].max() < 0.01


def test_colours_survive_the_way_to_planes_and_back() -> None:
    for scene in drawn()[-1:]:
        y, u, v = to_planes(scene.rgb)
        planes = tuple(np.asarray(np.rint(plane), np.uint8) for plane in (y, u, v))
        back = to_rgb((planes[0], planes[1], planes[2]))
        flat = (slice(60, 80), slice(80, 100))
        assert np.abs(back[flat].astype(int) - scene.rgb[flat]).max() <= 3


def test_the_set_is_the_same_at_every_making(items: tuple[GoldenItem, ...]) -> None:
    again = golden_items(2)
    assert len(again) == len(items)
    for one, other in zip(items, again, strict=True):
        for planes, others in zip(one.sources, other.sources, strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(planes, others, strict=True))


def test_every_class_has_drawn_and_photographed_scenes_and_clean_ones_have_level_0(
    items: tuple[GoldenItem, ...],
) -> None:
    classes = {item.degradation for item in items}
    assert {"bicubic", "area", "aliased", "noise-3", "noise-6", "jpeg-50", "jpeg-80", "h264-26", "h264-32"} <= classes
    for name in classes:
        own = [item for item in items if item.degradation == name]
        assert {item.scene.kind for item in own} == {"drawn", "photograph"}
        assert len({item.level for item in own}) == 1
    levels = {item.degradation: item.level for item in items}
    assert levels["bicubic"] == levels["area"] == levels["aliased"] == levels["clip"] == 0
    assert levels["noise-3"] == pytest.approx(3, abs=0.1)
    assert levels["h264-26"] < levels["h264-32"]
    assert levels["jpeg-80"] < levels["jpeg-50"]


@pytest.mark.parametrize("scale", [1, 3, 4])
def test_other_scales_have_truths_of_the_same_size(scale: int) -> None:
    for item in golden_items(scale):
        assert [side * scale for side in item.sources[0][0].shape] == list(item.truths[0][0].shape)
        assert [side * 2 for side in item.sources[0][1].shape] == list(item.sources[0][0].shape)


def test_bicubic_gains_nothing_over_bicubic_and_does_not_flicker_more(items: tuple[GoldenItem, ...]) -> None:
    scores = evaluate(bicubic, items, 2)
    assert all(item.psnr == item.bicubic_psnr for item in scores.items)
    assert all(item.flicker == item.bicubic_flicker for item in scores.items)
    assert scores.not_measured == ("LPIPS: no weights are given",)


def test_what_a_model_does_wrong_shows_in_its_own_figure(items: tuple[GoldenItem, ...]) -> None:
    few = [
        item for item in items if item.degradation in ("bicubic", "clip") and item.scene.name in ("coffee", "titles")
    ]
    calm = evaluate(bicubic, few, 2)
    count = 0

    def wrong(planes: Planes, level: float) -> Sequence[Bytes]:
        nonlocal count
        count += 1
        y, u, v = bicubic(planes, level)
        return [np.asarray(np.clip(y.astype(int) + 4 * (count % 2), 0, 255), np.uint8), v, u]

    found = evaluate(wrong, few, 2, lpips=lambda output, truth: 0.25)
    for one, other in zip(found.items, calm.items, strict=True):
        assert one.chroma_psnr < other.chroma_psnr - 5
        assert one.lpips == 0.25
        if one.flicker is not None and other.flicker is not None:
            assert one.flicker > other.flicker + 1
