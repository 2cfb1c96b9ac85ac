"""Networks of other forms, made on the spot: one that is told a level, one of RGB."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.graphs.sample_models import network_model, random_network


def network_with_level() -> onnx.ModelProto:
    """x2 on luma. `level` scales the weights of a layer in the middle, which are computed from it."""
    model = random_network(layers=5, strength=0.5)
    nodes = list(model.graph.node)
    middle = next(node for node in nodes if node.name == "conv2")
    nodes.insert(0, helper.make_node("Mul", ["w2", "level"], ["w2_told"], name="told"))
    middle.input[1] = "w2_told"
    told = network_model(nodes, model.graph.initializer)
    told.graph.input.append(helper.make_tensor_value_info("level", TensorProto.FLOAT, [1]))
    return told


def rgb_network(*, width: int = 16, layers: int = 4, seed: int = 0) -> onnx.ModelProto:
    """x2 on RGB: convolutions padded with zeros, LeakyReLU between them, over the repeated source."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], [numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "sizes")]
    channels = [3, *[width] * (layers - 1), 12]
    value = "rgb"
    for index, (before, after) in enumerate(zip(channels, channels[1:], strict=False)):
        spread = np.sqrt(2 / (9 * before)) * (0.02 if index == layers - 1 else 1.0)
        kernel = (rng.normal(size=(after, before, 3, 3)) * spread).astype(np.float32)
        bias = (rng.normal(size=after) * 0.02).astype(np.float32)
        weights += [numpy_helper.from_array(kernel, f"w{index}"), numpy_helper.from_array(bias, f"b{index}")]
        nodes.append(helper.make_node("Conv", [value, f"w{index}", f"b{index}"], [f"conv{index}"], pads=[1] * 4))
        value = f"conv{index}"
        if index < layers - 1:
            nodes.append(helper.make_node("LeakyRelu", [value], [f"relu{index}"], alpha=0.1))
            value = f"relu{index}"
    resize = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    nodes += [
        helper.make_node("DepthToSpace", [value], ["detail"], blocksize=2, mode="CRD"),
        helper.make_node("Resize", ["rgb", "", "sizes"], ["base"], **resize),
        helper.make_node("Add", ["detail", "base"], ["upscaled"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, f"{name}_rows", f"{name}_columns"])
        for name in ("rgb", "upscaled")
    ]
    graph = helper.make_graph(nodes, "rgb", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
