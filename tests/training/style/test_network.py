"""The style network and its file: one and the same, exact in tiles, and as far-sighted as it says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sr_tasks.training.style.export import INPUT, export_onnx
from sr_tasks.training.style.network import StyleNet
from sr_tasks.training.style.recipe import StyleNetworkRecipe


@pytest.fixture
def net() -> StyleNet:
    torch.manual_seed(7)
    net = StyleNet(StyleNetworkRecipe(channels=6, dilations=(1, 3, 2))).requires_grad_(False)
    for part in net.plain():
        part.weight.mul_(2)  # so that what is far away counts
    return net


def picture(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("height", "width"), [(24, 33), (7, 5), (1, 1)])
def test_the_file_answers_as_the_network(net: StyleNet, tmp_path: Path, height: int, width: int) -> None:
    session = onnxruntime.InferenceSession(export_onnx(net, tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    shown = picture(height, width)
    (answer,) = session.run(None, {INPUT: shown.numpy()})
    np.testing.assert_allclose(answer, net(shown).numpy(), atol=1e-5)


def test_a_px_depends_on_the_margin_around_it_and_on_no_more(net: StyleNet) -> None:
    side, centre = 4 * net.margin + 1, 2 * net.margin
    shown = picture(side, side).requires_grad_()
    net(shown)[0, :, centre, centre].sum().backward()
    assert shown.grad is not None
    rows, columns = np.nonzero(shown.grad[0].abs().sum(0).numpy())
    for found in (rows, columns):
        assert (found.min(), found.max()) == (centre - net.margin, centre + net.margin)


def test_a_tile_with_its_margin_comes_out_as_in_the_whole(net: StyleNet) -> None:
    shown, m = picture(40, 50), net.margin
    whole = net(shown)
    tile = net.interior(shown[:, :, 3 : 3 + 10 + 2 * m, 5 : 5 + 12 + 2 * m])
    torch.testing.assert_close(tile, whole[:, :, 3 + m : 13 + m, 5 + m : 17 + m], atol=1e-5, rtol=0)


def test_parameters_are_counted_as_shipped(net: StyleNet) -> None:
    assert net.parameter_count() == (3 * 6 + 3 * 6 * 6 + 6 * 3) * 9 + 4 * 6 + 3
