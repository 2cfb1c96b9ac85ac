"""How far a network sees, against what its layers say, and tiles against the whole."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from sr_tasks.intake.proof import Run
from sr_tasks.intake.receptive import OVERLAP_PX, Sight, look
from tests.intake.brought import Floats, picture


def run_of(net: nn.Module) -> Run:
    def run(given: Floats) -> Floats:
        try:
            with torch.no_grad():
                return np.asarray(net(torch.from_numpy(given)).numpy())
        except RuntimeError as exc:
            raise ValueError(f"not at this size: {exc}") from exc

    return run


def stack(kernels: Sequence[int], *, channels: int = 1, dilation: int = 1, scale: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for index, kernel in enumerate(kernels):
        last = index == len(kernels) - 1
        out = channels * scale**2 if last else 6
        given = channels if index == 0 else 6
        layers.append(nn.Conv2d(given, out, kernel, padding=dilation * (kernel // 2), dilation=dilation))
        layers.append(nn.PixelShuffle(scale) if last else nn.ReLU())
    return nn.Sequential(*layers)


class Squeezed(nn.Module):
    """Weighs its channels by their mean over the whole picture."""

    def __init__(self) -> None:
        super().__init__()
        self.body = stack([3, 3])
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid())

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(given) * self.weigh(given)
        return result


def sight(net: nn.Module, channels: int = 1, scale: int = 1, **known: int) -> Sight:
    return look(run_of(net), channels=channels, scale=scale, **known)


@pytest.mark.parametrize(
    ("kernels", "dilation", "reach"), [([3], 1, 1), ([5, 1, 7], 1, 5), ([3, 3], 4, 8), ([9] * 9, 1, 36)]
)
def test_the_halo_is_what_the_kernels_add_up_to(kernels: list[int], dilation: int, reach: int) -> None:
    found = sight(stack(kernels, dilation=dilation))
    assert found.reach == found.tiling.halo == reach
    assert found.tiling.mode == "exact"
    assert (found.tiling.multiple, found.tiling.minimum) == (1, 1)


def test_a_network_that_looks_to_one_side_only_is_seen_from_that_side() -> None:
    torch.manual_seed(0)
    for pads, kernel in (
        ((0, 0, 5, 0), (6, 1)),
        ((0, 0, 0, 5), (6, 1)),
        ((5, 0, 0, 0), (1, 6)),
        ((0, 5, 0, 0), (1, 6)),
    ):
        assert sight(nn.Sequential(nn.ZeroPad2d(pads), nn.Conv2d(1, 1, kernel))).reach == 5


def test_after_enlargement_a_px_reaches_less_far_in_the_source() -> None:
    # 2 px of the enlarged picture, at 2 per source px: one source px, on top of the 2 before it was enlarged.
    net = nn.Sequential(stack([3, 3], scale=2), nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    assert sight(net, scale=2).reach == 3


def test_a_network_that_weighs_the_whole_picture_is_blended() -> None:
    found = sight(Squeezed())
    assert found.reach is None
    assert found.tiling.mode == "overlap"
    assert found.tiling.halo == OVERLAP_PX


def test_a_network_that_only_takes_even_sides_says_so_and_its_windows_start_at_even_px() -> None:
    net = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 16, 3, padding=1), nn.PixelShuffle(4))
    found = sight(net, scale=2)
    assert found.tiling.mode == "exact"
    assert found.tiling.multiple == 2
    assert found.tiling.halo == 3  # a px beside its block of 2, and the whole block beyond


def test_a_network_that_pads_itself_to_even_sides_is_cut_at_even_px_too() -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.wide = nn.AvgPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            low: torch.Tensor = self.wide(self.pool(given))
            return given - low[..., : given.shape[2], : given.shape[3]]

    found = sight(Padded())
    assert (found.tiling.mode, found.tiling.multiple, found.tiling.halo) == ("exact", 2, 1)


def test_the_smallest_picture_is_found() -> None:
    found = sight(nn.Sequential(nn.ReflectionPad2d(7), stack([15], channels=1), nn.ZeroPad2d(-7)))
    assert found.tiling.minimum == 8  # reflection needs more px than it adds


def test_tiles_with_the_halo_that_was_found_make_up_the_whole_and_with_less_they_do_not() -> None:
    run = run_of(stack([3, 5, 3], channels=3, scale=2))
    found = look(run, channels=3, scale=2)
    given = picture(60, 60)
    whole = run(given)
    for halo, is_exact in ((found.tiling.halo, True), (found.tiling.halo - 1, False)):
        tile = run(np.ascontiguousarray(given[..., 20 - halo : 40 + halo, 20 - halo : 40 + halo]))
        inner = tile[..., 2 * halo : 2 * halo + 40, 2 * halo : 2 * halo + 40]
        assert (np.abs(inner - whole[..., 40:80, 40:80]).max() < 1e-6) == is_exact
