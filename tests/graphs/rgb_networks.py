"""Networks of R, G, B that do something plain, so that what goes in and comes out of them can be reckoned by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper


def rgb_model(
    nodes: Sequence[onnx.NodeProto], weights: Sequence[onnx.TensorProto] = (), *, opset: int = 17
) -> onnx.ModelProto:
    """From `rgb` to `out`, [1, 3, any, any]."""
    inside = helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, "rows", "columns"])
    outside = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3, "out_rows", "out_columns"])
    graph = helper.make_graph(list(nodes), "sample", [inside], [outside], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def tensor(name: str, array: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def same() -> onnx.ModelProto:
    """Gives what it is given."""
    return rgb_model([helper.make_node("Identity", ["rgb"], ["out"])])


def nearest(scale: int) -> onnx.ModelProto:
    """Every px becomes a square of `scale` by `scale`, by DepthToSpace in the order that keeps the channels apart."""
    if scale == 1:
        return same()
    return rgb_model([
        helper.make_node("Concat", ["rgb"] * scale**2, ["repeated"], axis=1),
        helper.make_node("DepthToSpace", ["repeated"], ["out"], blocksize=scale, mode="DCR"),
    ])  # fmt: skip


def mixing(matrix: NDArray[Any]) -> onnx.ModelProto:
    """A matrix [3, 3] over R, G, B."""
    kernel = tensor("matrix", matrix.astype(np.float32).reshape(3, 3, 1, 1))
    return rgb_model([helper.make_node("Conv", ["rgb", "matrix"], ["out"])], [kernel])


def showing(channel: int) -> onnx.ModelProto:
    """Gray that is one of the channels: what the network saw can be read from luma."""
    matrix = np.zeros((3, 3))
    matrix[:, channel] = 1
    return mixing(matrix)


def random_rgb_network(scale: int = 2, *, seed: int = 0) -> onnx.ModelProto:
    """Two convolutions with zero padding, a ReLU between them, over a nearest base; ends in an addition."""
    rng = np.random.default_rng(seed)
    weights = [
        tensor("w0", (rng.normal(size=(8, 3, 3, 3)) / 5).astype(np.float32)),
        tensor("b0", (rng.normal(size=8) / 20).astype(np.float32)),
        tensor("w1", (rng.normal(size=(3 * scale**2, 8, 3, 3)) / 40).astype(np.float32)),
        tensor("b1", (rng.normal(size=3 * scale**2) / 50).astype(np.float32)),
        tensor("sizes", np.array([1, 1, scale, scale], dtype=np.float32)),
    ]
    return rgb_model([
        helper.make_node("Conv", ["rgb", "w0", "b0"], ["wide"], pads=[1] * 4),
        helper.make_node("Relu", ["wide"], ["active"]),
        helper.make_node("Conv", ["active", "w1", "b1"], ["phases"], pads=[1] * 4),
        helper.make_node("DepthToSpace", ["phases"], ["detail"], blocksize=scale, mode="CRD"),
        helper.make_node("Resize", ["rgb", "", "sizes"], ["base"], mode="nearest", nearest_mode="floor",
                         coordinate_transformation_mode="asymmetric"),
        helper.make_node("Add", ["detail", "base"], ["out"]),
    ], weights)  # fmt: skip
