"""The golden set: its metrics against independent implementations, its sources, and how a model's figures come out."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sr_tasks.release.golden.items import GoldenItem, evaluate, golden_items
from sr_tasks.release.golden.planes import Planes, enlarged, to_planes, to_rgb
from sr_tasks.release.golden.scenes import drawn

Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def items() -> tuple[GoldenItem, ...]:
    return golden_items(2)


def bicubic(planes: Planes, level: float) -> Sequence[Bytes]:
    return [enlarged(plane, 2) for plane in planes]


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
