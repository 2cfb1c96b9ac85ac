"""Networks that are told a level, and constants that are computed: they become plain weights, and compute the same."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.folding import fold
from sr_tasks.graphs.graph import build_graph
from tests.graphs.rgb_networks import random_rgb_network
from tests.graphs.sample_models import network_entry, network_model, noise_planes, random_network, variant

LEVELS = {"max": 12.0, "step": 0.25}


def _tensor(name: str, array: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def _told(model: onnx.ModelProto) -> onnx.ModelProto:
    model.graph.input.append(helper.make_tensor_value_info("level", TensorProto.FLOAT, [1]))
    return model


def polynomial_network() -> onnx.ModelProto:
    """Kernels a + t * b + t * t * c with t = level / (level + 3), as networks trained for a level have them."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Add", ["level", "half"], ["level_and_half"]),
        helper.make_node("Div", ["level", "level_and_half"], ["told"]),
        helper.make_node("Mul", ["told", "told"], ["told_squared"]),
    ]
    weights = [_tensor("half", np.array([3], np.float32)), _tensor("pads", np.array([0, 0, 2, 2] * 2))]
    shapes = {"k0": (8, 1, 3, 3), "b0": (8,), "k1": (4, 8, 3, 3), "b1": (4,)}
    for name, shape in shapes.items():
        for part in ("", "_t", "_tt"):
            weights.append(_tensor(f"{name}{part}", (rng.normal(size=shape) / 9).astype(np.float32)))
        nodes += [
            helper.make_node("Mul", [f"{name}_t", "told"], [f"{name}_first"]),
            helper.make_node("Mul", [f"{name}_tt", "told_squared"], [f"{name}_second"]),
            helper.make_node("Add", [name, f"{name}_first"], [f"{name}_sum"]),
            helper.make_node("Add", [f"{name}_sum", f"{name}_second"], [f"{name}_all"]),
        ]
    nodes += [
        helper.make_node("Pad", ["luma", "pads"], ["context"], mode="edge"),
        helper.make_node("Conv", ["context", "k0_all", "b0_all"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["active"]),
        helper.make_node("Conv", ["active", "k1_all", "b1_all"], ["phases"]),
        helper.make_node("DepthToSpace", ["phases"], ["upscaled"], blocksize=2, mode="CRD"),
    ]
    return _told(network_model(nodes, weights))


def plane_network() -> onnx.ModelProto:
    """The level as a plane beside luma, which no folding can make plain weights of."""
    rng = np.random.default_rng(6)
    nodes = [
        helper.make_node("Constant", [], ["part"], value=_tensor("part", np.array([1 / 255], np.float32))),
        helper.make_node("Mul", ["level", "part"], ["unit"]),
        helper.make_node("Reshape", ["unit", "four"], ["px"]),
        helper.make_node("Shape", ["luma"], ["size"]),
        helper.make_node("Expand", ["px", "size"], ["plane"]),
        helper.make_node("Concat", ["luma", "plane"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "kernel"], ["phases"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["phases"], ["upscaled"], blocksize=2, mode="CRD"),
    ]
    kernel = (rng.normal(size=(4, 2, 3, 3)) / 4).astype(np.float32)
    return _told(network_model(nodes, [_tensor("four", np.array([1, 1, 1, 1])), _tensor("kernel", kernel)]))


def run(model: onnx.ModelProto, **feeds: NDArray[Any]) -> NDArray[Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


@pytest.mark.parametrize("make", [polynomial_network, plane_network])
@pytest.mark.parametrize("level", [0.0, 2.5, 12.0])
def test_a_folded_level_computes_what_the_network_computes_when_told_it(make: Any, level: float) -> None:
    model = make()
    luma = np.random.default_rng(0).random((1, 1, 13, 18), dtype=np.float32)
    told = run(model, luma=luma, level=np.array([level], np.float32))
    folded = fold(model.graph, 17, {"level": np.array([level], np.float32)})
    alone = helper.make_model(folded, opset_imports=model.opset_import, ir_version=9)
    onnx.checker.check_model(alone, full_check=True)
    assert np.abs(run(alone, luma=luma) - told).max() < 1e-5
    other = run(model, luma=luma, level=np.array([level + 1], np.float32))
    assert np.abs(other - told).max() > 1e-3, "the level of the test makes no difference"


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_planes_come_out_as_the_network_told_the_level_makes_them(tmp_path: Path, bit_depth: int) -> None:
    model, peak = polynomial_network(), 2**bit_depth - 1
    entry = network_entry(tmp_path, model, level=LEVELS, max_passes=1)
    luma = noise_planes(variant(chroma="gray", bit_depth=bit_depth), 19, 14)[0]
    for level in (0.0, 5.25):
        graph = build_graph(entry, variant(chroma="gray", bit_depth=bit_depth, level=level))
        unit = (luma / peak).astype(np.float32)[None, None]
        raw = run(model, luma=unit, level=np.array([level], np.float32))[0, 0].astype(np.float64) * peak
        difference = np.abs(run(graph, y=luma[None, None])[0, 0] - np.clip(np.floor(raw + 0.5), 0, peak))
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= difference.size // 100


def test_nothing_of_the_level_is_left_to_compute_for_each_frame(tmp_path: Path) -> None:
    entry = network_entry(tmp_path, polynomial_network(), level=LEVELS, max_passes=1)
    graph = build_graph(entry, variant(chroma="gray", level=4.0)).graph
    constants = {tensor.name for tensor in graph.initializer}
    assert [value.name for value in graph.input] == ["y"]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
    assert all(set(node.input[1:]) <= constants for node in convolutions)
    # 1/255 and 255 went into the weights: only the half that rounds is added.
    assert [node.op_type for node in graph.node if node.op_type in ("Mul", "Div", "Add")] == ["Add"]


def test_weights_kept_in_constant_nodes_are_weights_like_any_other(tmp_path: Path) -> None:
    model = random_network()
    moved = [tensor for tensor in model.graph.initializer if tensor.name in ("w0", "w2", "base_kernel")]
    nodes = [helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in moved]
    kept = [tensor for tensor in model.graph.initializer if tensor not in moved]
    rebuilt = network_model([*nodes, *model.graph.node], kept)
    kind = variant(chroma="gray")
    luma = noise_planes(kind, 23, 17)[0][None, None]
    plain = build_graph(network_entry(tmp_path / "plain", model), kind)
    found = build_graph(network_entry(tmp_path / "rebuilt", rebuilt), kind)
    assert [node.op_type for node in found.graph.node] == [node.op_type for node in plain.graph.node]
    assert np.array_equal(run(found, y=luma), run(plain, y=luma))


def test_a_computed_number_stays_a_number_and_a_whole_one_whole(tmp_path: Path) -> None:
    """Gather drops the axis it takes one of; an index with an axis of its own would keep it."""
    model = network_model(
        [
            helper.make_node("Add", ["index", "index"], ["doubled"]),
            helper.make_node("Gather", ["luma", "doubled"], ["row"], axis=2),
            helper.make_node("Unsqueeze", ["row", "axis"], ["line"]),
            helper.make_node("Sub", ["luma", "line"], ["upscaled"]),
        ],
        [_tensor("index", np.int64(1)), _tensor("axis", np.array([2]))],
    )
    luma = np.random.default_rng(0).integers(0, 256, (9, 14), dtype=np.uint8)
    graph = build_graph(network_entry(tmp_path, model, scale=1, max_passes=1), variant(chroma="gray", scale=1))
    expected = np.clip(luma.astype(np.int64) - luma[2], 0, 255)
    assert np.abs(run(graph, y=luma[None, None])[0, 0] - expected).max() <= 1


def test_a_network_with_nothing_to_fold_is_left_alone() -> None:
    for model in (random_network(), random_rgb_network()):
        assert fold(model.graph, 17, {}) is model.graph


def test_a_small_file_cannot_ask_for_a_large_constant() -> None:
    model = network_model(
        [
            helper.make_node("Expand", ["one", "huge"], ["ones"]),
            helper.make_node("ReduceSum", ["ones"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["luma", "sum"], ["upscaled"]),
        ],
        [_tensor("one", np.float32([1])), _tensor("huge", np.array([1 << 20, 1 << 20]))],
    )
    assert [node.op_type for node in fold(model.graph, 17, {}).node] == ["Expand", "ReduceSum", "Mul"]


def test_constants_that_cannot_be_computed_are_refused(tmp_path: Path) -> None:
    model = network_model(
        [
            helper.make_node("Reshape", ["four", "shape"], ["reshaped"]),
            helper.make_node("Mul", ["luma", "reshaped"], ["upscaled"]),
        ],
        [_tensor("four", np.ones(4, np.float32)), _tensor("shape", np.array([3]))],
    )
    with pytest.raises(ModelRejected, match="constants"):
        build_graph(network_entry(tmp_path, model), variant())


def test_a_card_and_weights_that_disagree_about_a_level_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRejected, match="level"):
        build_graph(network_entry(tmp_path / "silent", polynomial_network()), variant())
    with pytest.raises(ModelRejected, match="level"):
        build_graph(network_entry(tmp_path / "deaf", random_network(), level=LEVELS), variant())


def quantised_network() -> onnx.ModelProto:
    """First and last layer in float, between them a convolution in integers as quantisers write it: weights int8 for
    each channel, bias int32."""
    rng = np.random.default_rng(7)
    floats = {
        "k0": rng.normal(size=(8, 1, 3, 3)) / 3, "b0": rng.normal(size=8) / 9, "k2": rng.normal(size=(4, 8, 3, 3)) / 9,
        "step": 0.02, "weight_steps": rng.uniform(0.002, 0.004, 8), "bias_steps": rng.uniform(0.00004, 0.00008, 8),
        "out_step": 0.03,
    }  # fmt: skip
    weights = [_tensor(name, np.asarray(array, dtype=np.float32)) for name, array in floats.items()]
    weights += [
        _tensor("k1", rng.integers(-127, 128, (8, 8, 3, 3)).astype(np.int8)), _tensor("none", np.zeros(8, np.int8)),
        _tensor("b1", rng.integers(-999, 999, 8).astype(np.int32)), _tensor("zero", np.uint8(3)),
        _tensor("no_bias", np.zeros(8, np.int32)), _tensor("pads", np.array([0, 0, 3, 3] * 2)),
    ]  # fmt: skip
    nodes = [
        helper.make_node("Pad", ["luma", "pads"], ["context"], mode="edge"),
        helper.make_node("Conv", ["context", "k0", "b0"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["active"]),
        helper.make_node("QuantizeLinear", ["active", "step", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "step", "zero"], ["stepped"]),
        helper.make_node("DequantizeLinear", ["k1", "weight_steps", "none"], ["k1_float"], axis=0),
        helper.make_node("DequantizeLinear", ["b1", "bias_steps", "no_bias"], ["b1_float"], axis=0),
        helper.make_node("Conv", ["stepped", "k1_float", "b1_float"], ["inner"]),
        helper.make_node("QuantizeLinear", ["inner", "out_step", "zero"], ["inner_codes"]),
        helper.make_node("DequantizeLinear", ["inner_codes", "out_step", "zero"], ["inner_stepped"]),
        helper.make_node("Relu", ["inner_stepped"], ["inner_active"]),
        helper.make_node("Conv", ["inner_active", "k2"], ["phases"]),
        helper.make_node("DepthToSpace", ["phases"], ["upscaled"], blocksize=2, mode="CRD"),
    ]
    return network_model(nodes, weights)


def entirely_quantised_network() -> onnx.ModelProto:
    """Integers from the first layer to the last: there is no float convolution a factor could go into."""
    rng = np.random.default_rng(8)
    weights = [
        _tensor("unit", np.float32(1 / 255)), _tensor("zero", np.uint8(0)), _tensor("none", np.int8(0)),
        _tensor("k", rng.integers(-127, 128, (4, 1, 3, 3)).astype(np.int8)), _tensor("step", np.float32(1 / 300)),
        _tensor("out_step", np.float32(1 / 100)),
    ]  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["luma", "unit", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "unit", "zero"], ["stepped"]),
        helper.make_node("DequantizeLinear", ["k", "step", "none"], ["kernel"]),
        helper.make_node("Conv", ["stepped", "kernel"], ["phases"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["phases"], ["unfolded"], blocksize=2, mode="CRD"),
        helper.make_node("QuantizeLinear", ["unfolded", "out_step", "zero"], ["out_codes"]),
        helper.make_node("DequantizeLinear", ["out_codes", "out_step", "zero"], ["upscaled"]),
    ]
    return network_model(nodes, weights)


@pytest.mark.parametrize("make", [quantised_network, entirely_quantised_network])
def test_a_network_in_integers_is_taken_over_as_it_is(tmp_path: Path, make: Any) -> None:
    model = make()
    luma = noise_planes(variant(chroma="gray"), 21, 16)[0]
    graph = build_graph(network_entry(tmp_path, model, max_passes=1), variant(chroma="gray"))
    raw = run(model, luma=(luma / 255).astype(np.float32)[None, None])[0, 0].astype(np.float64) * 255
    difference = np.abs(run(graph, y=luma[None, None])[0, 0] - np.clip(np.floor(raw + 0.5), 0, 255))
    # One step of the integers inside falls to the other side now and then.
    assert np.count_nonzero(difference > 1) <= difference.size // 100
    assert np.ptp(raw) > 100, "the network of the test is too dull"
    count = {op: sum(node.op_type == op for node in model.graph.node) for op in ("QuantizeLinear", "DequantizeLinear")}
    for op, expected in count.items():
        assert sum(node.op_type == op for node in graph.graph.node) == expected
    before = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8}
    after = [tensor for tensor in graph.graph.initializer if tensor.data_type == TensorProto.INT8]
    kept = {numpy_helper.to_array(tensor).tobytes() for tensor in after}
    assert kept == {numpy_helper.to_array(tensor).tobytes() for tensor in before.values()}


def conv_only(scale: int) -> onnx.ModelProto:
    """A scale in one pass; 1 ends in a ReLU, others in their DepthToSpace."""
    rng = np.random.default_rng(scale)
    kernel = _tensor("kernel", (rng.normal(size=(scale**2, 1, 3, 3)) / 4 + 0.1).astype(np.float32))
    last = (
        helper.make_node("Relu", ["phases"], ["upscaled"])
        if scale == 1
        else helper.make_node("DepthToSpace", ["phases"], ["upscaled"], blocksize=scale, mode="CRD")
    )
    return network_model([helper.make_node("Conv", ["luma", "kernel"], ["phases"], pads=[1] * 4), last], [kernel])


@pytest.mark.parametrize("scale", [1, 3, 4])
@pytest.mark.parametrize(("chroma", "bit_depth"), [("420", 8), ("422", 10), ("444", 8), ("gray", 12)])
def test_a_network_of_luma_may_have_any_scale(tmp_path: Path, scale: int, chroma: str, bit_depth: int) -> None:
    model, kind = conv_only(scale), variant(scale=scale, chroma=chroma, bit_depth=bit_depth)
    planes, peak = noise_planes(kind, 15, 11), 2**bit_depth - 1
    graph = build_graph(network_entry(tmp_path, model, scale=scale, max_passes=1), kind)
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {name: plane[None, None] for name, plane in zip("yuv", planes, strict=False)}
    found = [one[0, 0] for one in session.run([f"{name}_out" for name in feeds], feeds)]
    raw = run(model, luma=(planes[0] / peak).astype(np.float32)[None, None])[0, 0].astype(np.float64) * peak
    difference = np.abs(found[0] - np.clip(np.floor(raw + 0.5), 0, peak))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= difference.size // 100
    expected = noise_planes(kind, 15 * scale, 11 * scale)
    assert [one.shape for one in found] == [one.shape for one in expected]
    if scale == 1:
        assert all(np.array_equal(one, other) for one, other in zip(found[1:], planes[1:], strict=True))
