"""The trained network as a plain ONNX file: luma to luma, float32, any size. Touches no card and no registry."""

import os
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from sr_tasks.training.network import SCALE, CompactNet

OPSET: Final = 17
IR_VERSION: Final = 9
INPUT: Final = "luma"
OUTPUT: Final = "upscaled"


class _Graph:
    """Nodes and weights in the making."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def add(self, operator: str, inputs: list[str], name: str, **attributes: int | str) -> str:
        node = helper.make_node(operator, inputs, [name], name=name)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        self.nodes.append(node)
        return name

    def constant(self, name: str, tensor: Tensor) -> str:
        self.weights.append(numpy_helper.from_array(tensor.detach().contiguous().numpy(), name))
        return name

    def extended(self, name: str, size: int) -> str:
        pads = np.array([0, 0, size, size, 0, 0, size, size], dtype=np.int64)
        self.weights.append(numpy_helper.from_array(pads, f"{name}_pads"))
        return self.add("Pad", [INPUT, f"{name}_pads"], name, mode="edge")


def build_onnx(net: CompactNet) -> onnx.ModelProto:
    """`luma` float32 [1, 1, H, W] in 0..1 to `upscaled` float32 [1, 1, 2H, 2W], not clipped. H and W are dynamic.

    The border is extended once, by its own px; no convolution pads with zeros, so no dark rim creeps in.
    """
    graph = _Graph()
    features = graph.extended("context", net.margin)
    convolutions = net.plain()
    for index, (kernel, bias) in enumerate(convolutions):
        name = f"conv{index}"
        weights = [graph.constant(f"{name}_weight", kernel), graph.constant(f"{name}_bias", bias)]
        features = graph.add("Conv", [features, *weights], name)
        if index < len(convolutions) - 1:
            features = graph.add("Relu", [features], f"relu{index}")
    base_kernel = graph.constant("base_kernel", net.base_kernel)
    base = graph.add("Conv", [graph.extended("rim", 1), base_kernel], "base")
    total = graph.add("Add", [features, base], "corrected")
    graph.add("DepthToSpace", [total], OUTPUT, blocksize=SCALE, mode="CRD")
    return _model(graph)


def _model(graph: _Graph) -> onnx.ModelProto:
    luma = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 1, "height", "width"])
    upscaled = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 1, "out_height", "out_width"])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "compact", [luma], [upscaled], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sr_tasks",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export_onnx(net: CompactNet, path: Path) -> Path:
    """Write `net` to `path` in one step and return it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.write_bytes(build_onnx(net).SerializeToString(deterministic=True))
    os.replace(draft, path)
    return path
