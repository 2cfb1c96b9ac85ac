"""int8 and fp16 networks: near the float ones, cheap where it counts, exact where it must be, and always the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.calibration import PATCHES, calibration_hash, calibration_patches
from sr_tasks.graphs.halve import halve
from sr_tasks.graphs.pictures import natural_picture
from sr_tasks.graphs.quantise import quantise
from sr_tasks.registry.registry import Registry
from tests.graphs.converted_networks import network_with_level
from tests.graphs.sample_models import random_network

PATCH = (48, 48)


def run(model: bytes, luma: NDArray[np.float32], **more: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: luma, **more})[0])


def picture(seed: int = 77) -> NDArray[np.float32]:
    return natural_picture(61, 83, seed=seed)[np.newaxis, np.newaxis].astype(np.float32)


def psnr(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(-10 * np.log10(np.mean((one.astype(np.float64) - other) ** 2)))


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_quantised_network_is_near_its_original(symmetric: bool) -> None:
    weights = random_network(layers=6, strength=0.5).SerializeToString()
    found = quantise(weights, calibration_patches((), 1, PATCH), level=None, label="sample", symmetric=symmetric)
    for seed in range(3):
        exact, coarse = run(weights, picture(seed)), run(found, picture(seed))
        assert 40 < psnr(exact, coarse) < 90


def test_inner_layers_are_integers_and_first_last_and_base_are_not() -> None:
    weights = random_network(layers=5).SerializeToString()
    graph = onnx.load_from_string(
        quantise(weights, calibration_patches((), 1, PATCH), level=None, label="sample")
    ).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    inputs = {name for node in graph.node if node.op_type == "Conv" for name in node.input[:2]}
    convs = [node for node in graph.node if node.op_type == "Conv"]
    quantised = [node for node in convs if producers.get(node.input[0]) == "DequantizeLinear"]
    assert (len(convs), len(quantised)) == (6, 3)
    assert all(producers.get(node.input[1]) == "DequantizeLinear" for node in quantised)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    per_channel = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] in inputs]
    scales = [stored[node.input[1]] for node in per_channel if stored.get(node.input[0], np.zeros(0)).dtype == np.int8]
    assert [scale.shape for scale in scales] == [(16,)] * 3


def test_the_same_network_and_pictures_give_the_same_bytes() -> None:
    weights = random_network(layers=4).SerializeToString()
    patches = calibration_patches((), 1, PATCH)
    once = quantise(weights, patches, level=None, label="sample")
    assert once == quantise(weights, calibration_patches((), 1, PATCH), level=None, label="sample")
    assert once != quantise(weights, [0.5 * patch for patch in patches], level=None, label="sample")


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_the_level_becomes_a_part_of_the_network(level: float) -> None:
    weights = network_with_level().SerializeToString()
    told = np.array([level], np.float32)
    exact = run(weights, picture(), level=told)
    for found in (
        quantise(weights, calibration_patches((), 1, PATCH), level=level, label="sample"),
        halve(weights, level=level, label="sample"),
    ):
        assert [value.name for value in onnx.load_from_string(found).graph.input] == ["luma"]
        assert psnr(exact, run(found, picture())) > 40
        assert psnr(exact, run(found, picture())) > psnr(exact, run(weights, picture(), level=told * 1.5)) + 3


def test_a_network_without_inner_layers_is_refused() -> None:
    with pytest.raises(ModelRejected, match="has no layers between"):
        quantise(random_network(layers=2).SerializeToString(), [picture()], level=None, label="sample")


def test_a_network_in_fp16_is_near_its_original_and_stays_float_outside() -> None:
    weights = random_network(layers=5, strength=0.5).SerializeToString()
    found = halve(weights, level=None, label="sample")
    model = onnx.load_from_string(found)
    onnx.checker.check_model(model, full_check=True)
    types = {value.type.tensor_type.elem_type for value in [*model.graph.input, *model.graph.output]}
    assert types == {TensorProto.FLOAT}
    kernels = [tensor for tensor in model.graph.initializer if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {TensorProto.FLOAT16}
    assert psnr(run(weights, picture()), run(found, picture())) > 60


def test_calibration_looks_at_the_jobs_frames_where_they_have_detail() -> None:
    frame = np.full((1, 480, 640), 0.25, np.float32)
    frame[:, 192:288, 96:192] = natural_picture(96, 96, seed=5)
    patches = calibration_patches(iter([frame]), 1)
    assert len(patches) == PATCHES
    assert {patch.shape for patch in patches} == {(1, 1, 96, 96)}
    assert any(np.array_equal(patch[0], frame[:, 192:288, 96:192]) for patch in patches[: PATCHES // 2])
    generated = calibration_patches((), 1)
    assert all(np.array_equal(one, other) for one, other in zip(patches[PATCHES // 2 :], generated, strict=False))
    assert calibration_hash(patches) != calibration_hash(generated) == calibration_hash(calibration_patches((), 1))


def test_frames_too_small_for_a_patch_leave_the_generated_ones() -> None:
    small = calibration_patches([np.zeros((1, 50, 200), np.float32)], 1)
    assert calibration_hash(small) == calibration_hash(calibration_patches((), 1))


def test_patches_for_colour_networks_have_colours() -> None:
    patches = calibration_patches([natural_picture(96, 96, seed=1)[np.newaxis].astype(np.float32)], 3)
    assert {patch.shape for patch in patches} == {(1, 3, 96, 96)}
    saturation = [float(np.ptp(patch, axis=1).mean()) for patch in patches]
    assert saturation[0] == 0.0
    assert max(saturation) > 0.05


def test_a_network_fitted_to_soft_frames_holds_for_harsh_ones() -> None:
    weights = Registry(Settings().models_dir).get("compact-x2").read_weights()
    soft = [natural_picture(192, 192, seed=n, softness=6)[np.newaxis].astype(np.float32) for n in range(3)]
    found = quantise(weights, calibration_patches(soft, 1), level=None, label="compact-x2")
    harsh = natural_picture(96, 128, seed=9, softness=0)[np.newaxis, np.newaxis].astype(np.float32)
    assert psnr(run(weights, harsh), run(found, harsh)) > 46
