"""The trained network as a plain ONNX file: luma to luma, float32, any size. Touches no card and no registry."""

import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, helper, numpy_helper
from torch import Tensor

from sr_tasks.errors import InputNotFound, UsageError
from sr_tasks.training.network import LEVEL_HALF, LEVEL_TERMS, LumaNet, PlainConv

OPSET: Final = 17
IR_VERSION: Final = 9
INPUT: Final = "luma"
LEVEL: Final = "level"
OUTPUT: Final = "upscaled"
TERM_SUFFIXES: Final = ("", "_by_told", "_by_told_squared")


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

    def told(self) -> tuple[str, str]:
        """The level as the network is told it, and its square; see `network.told`."""
        half = self.constant("level_half", torch.tensor([LEVEL_HALF]))
        told = self.add("Div", [LEVEL, self.add("Add", [LEVEL, half], "level_and_half")], "told")
        return told, self.add("Mul", [told, told], "told_squared")

    def polynomial(self, name: str, terms: Tensor, powers: tuple[str, ...]) -> str:
        """The constant `terms`[0], or with `powers` the sum of the terms times them."""
        total = self.constant(name, terms[0])
        for term, power, suffix in zip(terms[1:], powers, TERM_SUFFIXES[1 : len(terms)], strict=True):
            product = self.add("Mul", [self.constant(f"{name}{suffix}", term), power], f"{name}{suffix}_part")
            total = self.add("Add", [total, product], f"{name}{suffix}_total")
        return total


def build_onnx(net: LumaNet) -> onnx.ModelProto:
    """`luma` float32 [1, 1, H, W] in 0..1 to `upscaled` float32 [1, 1, sH, sW], not clipped. H and W are dynamic.

    A network with a level has the input `level`, float32 [1] in 8-bit codes, besides. The border is extended once,
    by its own px; no convolution pads with zeros, so no dark rim creeps in.
    """
    graph = _Graph()
    powers = graph.told() if net.has_level else ()
    features = graph.extended("context", net.margin)
    convolutions = net.plain()
    for index, part in enumerate(convolutions):
        name = f"conv{index}"
        kernel = graph.polynomial(f"{name}_weight", part.kernels, powers)
        bias = graph.polynomial(f"{name}_bias", part.biases, powers)
        features = graph.add("Conv", [features, kernel, bias], name)
        if index < len(convolutions) - 1:
            features = graph.add("Relu", [features], f"relu{index}")
    base_kernel = graph.constant("base_kernel", net.base_kernel)
    base = graph.add("Conv", [graph.extended("rim", 1), base_kernel], "base")
    total = graph.add("Add", [features, base], "corrected" if net.scale > 1 else OUTPUT)
    if net.scale > 1:
        graph.add("DepthToSpace", [total], OUTPUT, blocksize=net.scale, mode="CRD")
    return _model(graph, net.has_level)


def _model(graph: _Graph, has_level: bool) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 1, "height", "width"])]
    if has_level:
        inputs.append(helper.make_tensor_value_info(LEVEL, TensorProto.FLOAT, [1]))
    upscaled = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 1, "out_height", "out_width"])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "compact", inputs, [upscaled], graph.weights),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sr_tasks",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def export_onnx(net: LumaNet, path: Path) -> Path:
    """Write `net` to `path` in one step and return it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    draft.write_bytes(build_onnx(net).SerializeToString(deterministic=True))
    os.replace(draft, path)
    return path


def read_convolutions(path: Path, sha256: str) -> list[PlainConv]:
    """The convolutions of a file written by `export_onnx`. Raises InputNotFound, and UsageError for another file."""
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise InputNotFound(f"There is no network {path} to start from.", hint="Train that one first.") from exc
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise UsageError(f"{path} has sha256 {found}, not {sha256}.", hint="Correct `start` in the recipe.")
    tensors = {
        one.name: torch.tensor(numpy_helper.to_array(one)) for one in onnx.load_from_string(data).graph.initializer
    }
    parts: list[PlainConv] = []
    while (name := f"conv{len(parts)}_weight") in tensors:
        bias = name.replace("weight", "bias")
        suffixes = TERM_SUFFIXES[:LEVEL_TERMS] if name + TERM_SUFFIXES[1] in tensors else TERM_SUFFIXES[:1]
        parts.append(
            PlainConv(
                kernels=torch.stack([tensors[name + suffix] for suffix in suffixes]),
                biases=torch.stack([tensors[bias + suffix] for suffix in suffixes]),
            )
        )
    return parts
