"""Cards of models: what they must say before a model is taken."""

from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import ModelRejected
from sr_tasks.records.cards import load_card
from tests.graphs.sample_models import write_model


@pytest.mark.parametrize("changes", [{"window": 3}, {"warm_up": 2}, {"window": 5, "warm_up": 1}])
def test_a_network_that_sees_several_frames_is_refused_with_the_numbers(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = write_model(tmp_path, "moving", **changes)
    with pytest.raises(ModelRejected, match="is not valid") as refused:
        load_card(folder / "card.yaml")
    for name, number in ({"window": 1, "warm_up": 0} | changes).items():
        assert f"{name} {number}" in refused.value.message


def test_a_network_of_one_frame_may_say_so(tmp_path: Path) -> None:
    said = load_card(write_model(tmp_path, "said", window=1, warm_up=0) / "card.yaml")
    unsaid = load_card(write_model(tmp_path, "unsaid") / "card.yaml")
    assert (said.window, said.warm_up) == (unsaid.window, unsaid.warm_up) == (1, 0)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"kind": "style"}, "style"),
        ({"kind": "network"}, "weights"),
        ({"scale": 9}, "scale"),
        ({"licence": "Free for all"}, "licence"),
        ({"colour": "luma"}, "colour"),
        ({"gate": {"global_psnr_min": 30, "frame_psnr_min": 30, "block_psnr_min": 20, "ssim_min": 0.5,
                   "review": {"ssim_min": 0.4}}}, "review.ssim_min=0.4"),
    ],
)  # fmt: skip
def test_a_card_that_is_not_valid_is_refused_with_the_field(
    tmp_path: Path, changes: dict[str, Any], place: str
) -> None:
    folder = write_model(tmp_path, "wrong", **changes)
    with pytest.raises(ModelRejected, match="Correct the card") as refused:
        load_card(folder / "card.yaml")
    assert place in refused.value.message
    assert str(folder / "card.yaml") in refused.value.message


def test_a_doubtful_output_is_one_close_to_the_limit_that_refuses(tmp_path: Path) -> None:
    limits = load_card(write_model(tmp_path, "plain") / "card.yaml").gate
    second = limits.for_review()
    assert (second.global_psnr_min, second.ssim_min) == (limits.global_psnr_min + 1, limits.ssim_min + 0.02)
    assert second.pixel_shift_max == pytest.approx(0.9 * limits.pixel_shift_max)
