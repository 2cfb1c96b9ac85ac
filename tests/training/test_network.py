"""The networks: what a level changes, what a start keeps, and that the exported file answers as torch does."""

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from sr_tasks.errors import UsageError
from sr_tasks.training.export import export_onnx, read_convolutions
from sr_tasks.training.network import LumaNet, bilinear_kernel, told


def disturbed(net: LumaNet, seed: int = 5) -> LumaNet:
    """The same with weights that are zero in no place."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in net.parameters():
            weights += 0.02 * torch.randn(weights.shape, generator=generator)
    return net


def picture(height: int = 20, width: int = 26) -> torch.Tensor:
    return torch.rand((1, 1, height, width), generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("scale", [2, 4])
def test_the_base_is_bilinear_interpolation(scale: int) -> None:
    luma = picture()
    padded = torch.nn.functional.pad(luma, [1] * 4, mode="replicate")
    base = torch.nn.functional.pixel_shuffle(torch.nn.functional.conv2d(padded, bilinear_kernel(scale)), scale)
    oracle = torch.nn.functional.interpolate(luma, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(base, oracle, atol=1e-6, rtol=0)


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("level", [0.0, 0.7, 6.0])
def test_the_exported_file_answers_as_the_network_at_every_level(tmp_path: Path, scale: int, level: float) -> None:
    net = disturbed(LumaNet(6, 2, 12, scale=scale, has_level=True))
    session = onnxruntime.InferenceSession(export_onnx(net, tmp_path / "net.onnx"))
    luma = picture()
    found = session.run(None, {"luma": luma.numpy(), "level": np.array([level], dtype=np.float32)})[0]
    with torch.no_grad():
        np.testing.assert_allclose(found, net(luma, level).numpy(), atol=2e-6)


def test_a_level_changes_the_answer_and_none_does_not(tmp_path: Path) -> None:
    net = disturbed(LumaNet(6, 2, 12, has_level=True))
    plain = LumaNet(6, 2, 12)
    with torch.no_grad():
        assert (net(picture(), 5.0) - net(picture(), 0.0)).abs().max() > 1e-3
        torch.testing.assert_close(plain(picture(), 5.0), plain(picture(), 0.0), atol=0, rtol=0)


def test_small_levels_are_told_further_apart() -> None:
    assert told(0.0) == 0
    assert told(4.0) == pytest.approx(0.5)
    assert told(1.0) - told(0.0) > told(9.0) - told(8.0)


def test_a_network_begins_as_the_one_it_starts_from(tmp_path: Path) -> None:
    net = disturbed(LumaNet(6, 2, 12))
    path = export_onnx(net, tmp_path / "net.onnx")
    start = read_convolutions(path, hashlib.sha256(path.read_bytes()).hexdigest())
    torch.manual_seed(1)
    begun = LumaNet(6, 2, 12, has_level=True, start=start)
    with torch.no_grad():
        torch.testing.assert_close(begun(picture(), 3.0), net(picture()), atol=1e-6, rtol=0)


def test_at_the_next_scale_every_pixel_is_repeated_to_begin_with(tmp_path: Path) -> None:
    net = disturbed(LumaNet(6, 2, 12))
    path = export_onnx(net, tmp_path / "net.onnx")
    start = read_convolutions(path, hashlib.sha256(path.read_bytes()).hexdigest())
    torch.manual_seed(1)
    begun = LumaNet(6, 2, 12, scale=4, start=start)
    with torch.no_grad():
        correction = begun(picture()) - torch.nn.functional.interpolate(
            picture(), scale_factor=4, mode="bilinear", align_corners=False
        )
        before = net(picture()) - torch.nn.functional.interpolate(
            picture(), scale_factor=2, mode="bilinear", align_corners=False
        )
        repeated = torch.nn.functional.interpolate(before, scale_factor=2, mode="nearest")
        torch.testing.assert_close(correction, repeated, atol=1e-6, rtol=0)


def test_another_file_than_the_recipe_says_is_no_start(tmp_path: Path) -> None:
    path = export_onnx(LumaNet(2, 0, 4), tmp_path / "net.onnx")
    with pytest.raises(UsageError, match="sha256"):
        read_convolutions(path, "0" * 64)
