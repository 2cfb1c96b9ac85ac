"""The trained style network as a plain ONNX file: R, G, B to R, G, B, float32, any size. Touches no card."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from sr_tasks.storage.atomic import replacing
from sr_tasks.training.style.network import CHANNELS, StyleNet

OPSET: Final = 17
IR_VERSION: Final = 9
INPUT: Final = "picture"
OUTPUT: Final = "stylised"


def build_onnx(net: StyleNet) -> onnx.ModelProto:
    """`picture` float32 [1, 3, H, W] in 0..1 to `stylised` of the same shape, not clipped. H and W are dynamic.

    The border is extended once, by its own px; no convolution pads with zeros, so no dark rim creeps in.
    """
    margin = net.margin
    pads = np.array([0, 0, margin, margin, 0, 0, margin, margin], dtype=np.int64)
    tensors: list[TensorProto] = [numpy_helper.from_array(pads, "context_pads")]
    nodes: list[NodeProto] = [helper.make_node("Pad", [INPUT, "context_pads"], ["context"], "context", mode="edge")]
    features, convolutions = "context", net.plain()
    for index, convolution in enumerate(convolutions):
        name = f"conv{index}"
        for part, tensor in convolution.named_parameters():
            tensors.append(numpy_helper.from_array(tensor.detach().contiguous().numpy(), f"{name}_{part}"))
        inputs = [features, f"{name}_weight", f"{name}_bias"]
        nodes.append(helper.make_node("Conv", inputs, [name], name, dilations=list(convolution.dilation)))
        features = name
        if index < len(convolutions) - 1:
            features = f"relu{index}"
            nodes.append(helper.make_node("Relu", [name], [features], features))
    nodes.append(helper.make_node("Add", [features, INPUT], [OUTPUT], OUTPUT))
    return _model(nodes, tensors)


def _model(nodes: list[NodeProto], tensors: list[TensorProto]) -> onnx.ModelProto:
    dims: list[str | int | None] = [1, CHANNELS, "height", "width"]
    picture = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, dims)
    stylised = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, dims)
    model = helper.make_model(
        helper.make_graph(nodes, "style", [picture], [stylised], tensors),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sr_tasks",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export_onnx(net: StyleNet, path: Path) -> Path:
    """Write `net` to `path` in one step and return it."""
    with replacing(path) as draft:
        draft.write_bytes(build_onnx(net).SerializeToString(deterministic=True))
    return path
