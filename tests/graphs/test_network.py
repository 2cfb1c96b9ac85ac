"""Taking networks of any make into the graph: factors end up right wherever they can go, bad files are refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.graph import build_graph
from tests.graphs.sample_models import network_entry, network_model, random_network, variant

Make = Callable[[], onnx.ModelProto]


def _tensor(name: str, array: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def _kernel(name: str, out: int, inside: int, *, seed: int = 3) -> onnx.TensorProto:
    return _tensor(
        name, (np.random.default_rng(seed).normal(size=(out, inside, 3, 3)) / (9 * inside)).astype(np.float32)
    )


def _node(op: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], **attributes)


def centred_input() -> onnx.ModelProto:
    """Takes the mean off first and adds it at the end: neither end is a convolution."""
    return network_model(
        [
            _node("Sub", ["luma", "mean"], "centred"),
            _node("Conv", ["centred", "w"], "features", pads=[1] * 4),
            _node("DepthToSpace", ["features"], "unfolded", blocksize=2, mode="CRD"),
            _node("Add", ["unfolded", "mean"], "upscaled"),
        ],
        [_tensor("mean", np.float32(0.45)), _kernel("w", 4, 1)],
    )


def sigmoid_output() -> onnx.ModelProto:
    return network_model(
        [
            _node("Conv", ["luma", "w", "b"], "features", pads=[1] * 4),
            _node("Sigmoid", ["features"], "bounded"),
            _node("DepthToSpace", ["bounded"], "upscaled", blocksize=2, mode="CRD"),
        ],
        [_kernel("w", 4, 1), _tensor("b", np.linspace(-1, 1, 4, dtype=np.float32))],
    )


def shared_weights_and_values() -> onnx.ModelProto:
    """One kernel used inside and at the end, and a value read twice: scaling one reader must not scale the other."""
    return network_model(
        [
            _node("Conv", ["luma", "w1", "b"], "wide", pads=[1] * 4),
            _node("Conv", ["wide", "w2", "b"], "first", pads=[1] * 4),
            _node("Conv", ["first", "w2", "b"], "second", pads=[1] * 4),
            _node("Add", ["second", "first"], "third"),
            _node("Add", ["third", "third"], "sum"),
            _node("DepthToSpace", ["sum"], "upscaled", blocksize=2, mode="CRD"),
        ],
        [_kernel("w1", 4, 1), _kernel("w2", 4, 4), _tensor("b", np.linspace(0, 0.3, 4, dtype=np.float32))],
    )


def column_order_and_zero_pad() -> onnx.ModelProto:
    """DepthToSpace in the other order, a pad with a constant, and the source read by two nodes."""
    return network_model(
        [
            _node("Pad", ["luma", "pads", "value"], "padded", mode="constant"),
            _node("Conv", ["padded", "w"], "features"),
            _node("Concat", ["luma", "luma", "luma", "luma"], "repeated", axis=1),
            _node("Add", ["features", "repeated"], "sum"),
            _node("DepthToSpace", ["sum"], "upscaled", blocksize=2, mode="DCR"),
        ],
        [_tensor("pads", np.array([0, 0, 1, 1] * 2)), _tensor("value", np.float32(0.5)), _kernel("w", 4, 1)],
    )


def nearest_only() -> onnx.ModelProto:
    """No weights at all."""
    return network_model(
        [
            _node("Concat", ["luma"] * 4, "repeated", axis=1),
            _node("DepthToSpace", ["repeated"], "upscaled", blocksize=2, mode="CRD"),
        ],
        [],
    )


def pad_then_cut() -> onnx.ModelProto:
    """A padded value read by something that is no convolution."""
    return network_model(
        [
            _node("Pad", ["luma", "pads"], "padded", mode="edge"),
            _node("Conv", ["padded", "w"], "features"),
            _node("Slice", ["padded", "one", "end", "axes"], "middle"),
            _node("Sigmoid", ["middle"], "gate"),
            _node("Mul", ["features", "gate"], "gated"),
            _node("DepthToSpace", ["gated"], "upscaled", blocksize=2, mode="CRD"),
        ],
        [
            _tensor("pads", np.array([0, 0, 1, 1] * 2)), _kernel("w", 4, 1), _tensor("one", np.array([1, 1])),
            _tensor("end", np.array([-1, -1])), _tensor("axes", np.array([2, 3])),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [centred_input, sigmoid_output, shared_weights_and_values, column_order_and_zero_pad, nearest_only, pad_then_cut],
)
@pytest.mark.parametrize("bit_depth", [8, 12])
def test_any_network_computes_the_same_inside_the_graph(tmp_path: Path, make: Make, bit_depth: int) -> None:
    network, peak = make(), 2**bit_depth - 1
    luma = np.random.default_rng(0).integers(0, peak + 1, (12, 20)).astype(np.uint8 if bit_depth == 8 else np.uint16)
    raw = ReferenceEvaluator(network).run(None, {"luma": (luma / peak).astype(np.float32)[None, None]})[0][0, 0]
    expected = np.clip(np.floor(raw.astype(np.float64) * peak + 0.5), 0, peak)
    model = build_graph(network_entry(tmp_path, network), variant(chroma="gray", bit_depth=bit_depth))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[Any] = session.run(None, {"y": luma[None, None]})[0][0, 0]
    assert np.abs(found - expected).max() <= 1
    assert np.count_nonzero(found != expected) <= found.size // 100
    assert np.unique(expected).size > 20, "the network of the test is too dull"


def _with_external_weights() -> onnx.ModelProto:
    model = random_network()
    tensor = model.graph.initializer[1]
    onnx.external_data_helper.set_external_data(tensor, "elsewhere.bin")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return model


def _with_custom_operator() -> onnx.ModelProto:
    model = random_network()
    model.graph.node[0].domain = "vendor.ops"
    model.opset_import.append(helper.make_opsetid("vendor.ops", 1))
    return model


def _with_control_flow() -> onnx.ModelProto:
    out = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    branch = helper.make_graph([_node("Identity", ["luma"], "inner")], "branch", [], [out])
    chosen = helper.make_node("If", ["yes"], ["upscaled"], then_branch=branch, else_branch=branch)
    return network_model([chosen], [_tensor("yes", np.array(True))])


def _with_two_inputs() -> onnx.ModelProto:
    model = random_network()
    model.graph.input.append(helper.make_tensor_value_info("strength", TensorProto.FLOAT, [1]))
    return model


def _with_old_opset() -> onnx.ModelProto:
    return network_model([_node("Relu", ["luma"], "upscaled")], [], opset=11)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_with_external_weights, "another file"), (_with_custom_operator, "vendor.ops"),
        (_with_control_flow, "control flow"), (_with_two_inputs, "strength"), (_with_old_opset, "opset 11"),
    ],
)  # fmt: skip
def test_weights_that_are_no_plain_network_are_refused(tmp_path: Path, make: Make, what: str) -> None:
    with pytest.raises(ModelRejected, match=what):
        build_graph(network_entry(tmp_path, make()), variant())


@pytest.mark.parametrize("data", [b"", b"not an ONNX file", random_network().SerializeToString()[:-40]])
def test_damaged_weights_are_refused_even_if_the_card_agrees(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelRejected):
        build_graph(network_entry(tmp_path, data), variant())
