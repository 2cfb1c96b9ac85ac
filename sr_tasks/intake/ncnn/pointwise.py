"""Layers of ncnn that treat each value by itself, or each channel."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from sr_tasks.intake.ncnn.layer import Converter, Graph, Layer, Stored, Unsupported


def activated(graph: Graph, layer: Layer, tensor: str) -> str:
    """What is called activation_type (9) with its parameters (10)."""
    kind, how = layer.whole(9), layer.numbers(10)
    if kind == 0:
        return tensor
    if kind == 1:
        return graph.node("Relu", [tensor])
    if kind == 2:
        return graph.node("LeakyRelu", [tensor], alpha=how[0])
    if kind == 3:
        return _clip(graph, tensor, how[0], how[1])
    if kind == 4:
        return graph.node("Sigmoid", [tensor])
    if kind == 5:
        return _mish(graph, tensor)
    if kind == 6:
        return _hard_swish(graph, tensor, how[0], how[1])
    raise Unsupported(f"its activation {kind} is not known")


def _clip(graph: Graph, tensor: str, least: float, most: float) -> str:
    return graph.node("Clip", [tensor, *(graph.constant(np.float32(limit)) for limit in (least, most))])


def _mish(graph: Graph, tensor: str) -> str:
    return graph.node("Mul", [tensor, graph.node("Tanh", [graph.node("Softplus", [tensor])])])


def _hard_swish(graph: Graph, tensor: str, alpha: float, beta: float) -> str:
    return graph.node("Mul", [tensor, graph.node("HardSigmoid", [tensor], alpha=alpha, beta=beta)])


def _prelu(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    slopes = stored.plain(layer.whole(0))
    return graph.node("PRelu", [inputs[0], graph.constant(slopes.reshape(-1, 1, 1))])


def _relu(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    slope = layer.number(0)
    return graph.node("LeakyRelu", inputs, alpha=slope) if slope else graph.node("Relu", inputs)


def _one(kind: str) -> Converter:
    """A layer that is one operator of ONNX without parameters."""

    def convert(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
        return graph.node(kind, inputs[:1])

    return convert


def _swish(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return graph.node("Mul", [inputs[0], graph.node("Sigmoid", [inputs[0]])])


def _clipped(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    largest = float(np.finfo(np.float32).max)
    return _clip(graph, inputs[0], layer.number(0, -largest), layer.number(1, largest))


def _hard_sigmoid(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return graph.node("HardSigmoid", inputs, alpha=layer.number(0, 0.2), beta=layer.number(1, 0.5))


def _hard_swished(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return _hard_swish(graph, inputs[0], layer.number(0, 0.2), layer.number(1, 0.5))


def _mished(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return _mish(graph, inputs[0])


def _gelu(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    """The exact form. ncnn's `fast_gelu` (0=1) is the one with tanh, 3e-4 away at most."""
    (tensor,) = inputs
    scaled = graph.node("Mul", [tensor, graph.constant(np.float32(0.5**0.5))])
    raised = graph.node("Add", [graph.node("Erf", [scaled]), graph.constant(np.float32(1))])
    return graph.node("Mul", [graph.node("Mul", [tensor, graph.constant(np.float32(0.5))]), raised])


_BINARY: Final = {
    0: ("Add", False), 1: ("Sub", False), 2: ("Mul", False), 3: ("Div", False), 4: ("Max", False), 5: ("Min", False),
    6: ("Pow", False), 7: ("Sub", True), 8: ("Div", True), 9: ("Pow", True),
}  # fmt: skip
"""Operator, and whether its sides change places."""


def _binary(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    if layer.whole(0) not in _BINARY:
        raise Unsupported(f"its operation {layer.whole(0)} is not known")
    kind, turned = _BINARY[layer.whole(0)]
    sides = [inputs[0], graph.constant(np.float32(layer.number(2)))] if layer.whole(1) else inputs
    return graph.node(kind, sides[::-1] if turned else sides)


_UNARY: Final = {
    0: "Abs", 1: "Neg", 2: "Floor", 3: "Ceil", 5: "Sqrt", 7: "Exp", 8: "Log", 15: "Reciprocal", 16: "Tanh"
}  # fmt: skip


def _unary(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    kind = layer.whole(0)
    if kind == 4:
        return graph.node("Mul", [inputs[0], inputs[0]])
    if kind not in _UNARY:
        raise Unsupported(f"its operation {kind} is not known")
    return graph.node(_UNARY[kind], inputs)


def _eltwise(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    kind, factors = layer.whole(0), layer.numbers(1)
    if kind == 1 and factors:
        inputs = [
            tensor if factor == 1 else graph.node("Mul", [tensor, graph.constant(np.float32(factor))])
            for tensor, factor in zip(inputs, factors, strict=True)
        ]
    name = {0: "Mul", 1: "Add", 2: "Max"}[kind]
    total = inputs[0]
    for tensor in inputs[1:]:
        total = graph.node(name, [total, tensor])
    return total


def _scale(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    """Times a value a channel, stored or another layer's, plus one."""
    count = layer.whole(0)
    if count == -233:
        return graph.node("Mul", inputs)
    factors = graph.constant(stored.plain(count).reshape(-1, 1, 1))
    output = graph.node("Mul", [inputs[0], factors])
    return (
        graph.node("Add", [output, graph.constant(stored.plain(count).reshape(-1, 1, 1))]) if layer.whole(1) else output
    )


def _batch_norm(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    slope, mean, variance, bias = (stored.plain(layer.whole(0)) for _ in range(4))
    factor = slope / np.sqrt(variance + np.float32(layer.number(1)))
    scaled = graph.node("Mul", [inputs[0], graph.constant(factor.reshape(-1, 1, 1))])
    return graph.node("Add", [scaled, graph.constant((bias - mean * factor).reshape(-1, 1, 1))])


def _same(graph: Graph, stored: Stored, layer: Layer, inputs: list[str]) -> str:
    return inputs[0]


KINDS: Final[Mapping[str, Converter]] = {
    "BatchNorm": _batch_norm,
    "BinaryOp": _binary,
    "Clip": _clipped,
    "Dropout": _same,
    "Eltwise": _eltwise,
    "GELU": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swished,
    "Mish": _mished,
    "Noop": _same,
    "PReLU": _prelu,
    "ReLU": _relu,
    "Scale": _scale,
    "Sigmoid": _one("Sigmoid"),
    "Softplus": _one("Softplus"),
    "Swish": _swish,
    "TanH": _one("Tanh"),
    "UnaryOp": _unary,
}
