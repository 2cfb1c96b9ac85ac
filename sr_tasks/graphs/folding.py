"""Constant folding: computes once what does not depend on the picture, and keeps the results as weights.

A network that takes a level computes its kernels from it. A job has one level, so these kernels are constants, and the
folded network costs no more than one without a level. Nodes that depend on a picture are never touched. Neither are
pairs of QuantizeLinear and DequantizeLinear: they tell a runtime to compute with integers.
"""

import math
from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

_FOLDED = frozenset({
    "Abs", "Add", "Cast", "Clip", "Concat", "Constant", "Conv", "Div", "Exp", "Expand", "Flatten", "Gather", "Gemm",
    "Identity", "LeakyRelu", "Log", "MatMul", "Max", "Min", "Mul", "Neg", "Pow", "Reciprocal", "ReduceMean",
    "ReduceSum", "Relu", "Reshape", "Sigmoid", "Slice", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Tanh",
    "Transpose", "Unsqueeze",
})  # fmt: skip
"""Deterministic and of a size known beforehand. QuantizeLinear and DequantizeLinear are left out on purpose: weights
kept as integers between them are what tells a runtime to compute in integers."""

_MOST_ELEMENTS = 1 << 24
"""Of a folded value. Larger ones are left to the runtime, as a small file could ask for any amount of memory."""


def fold(graph: onnx.GraphProto, opset: int, known: Mapping[str, NDArray[np.float32]]) -> onnx.GraphProto:
    """The graph without the nodes that depend on constants and on the inputs in `known` alone: their results, in
    float32 as NumPy computes them, are weights like any other, and those inputs are gone.

    A graph that has neither is given back as it is. Whatever NumPy raises for a node that cannot be computed is let
    through: the graph is then no valid one.
    """
    held = {tensor.name for tensor in graph.initializer} | set(known)
    nodes = _constant_nodes(graph, held)
    if not nodes and not known:
        return graph
    nodes = _constant_nodes(graph, held, _sizes(_part(graph, nodes, opset, known)))
    results = _computed(_part(graph, nodes, opset, known), nodes)
    folded = onnx.GraphProto()
    folded.CopyFrom(graph)
    taken = {node.output[0] for node in nodes}
    del folded.node[:], folded.input[:]
    folded.node.extend(node for node in graph.node if node.output[0] not in taken)
    folded.input.extend(value for value in graph.input if value.name not in known)
    wanted = {name for node in folded.node for name in node.input} | {value.name for value in graph.output}
    for name, array in {**known, **results}.items():
        if name in wanted:
            # Not ascontiguousarray, which gives a scalar an axis.
            folded.initializer.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
    return folded


def _constant_nodes(
    graph: onnx.GraphProto, held: set[str], sizes: Mapping[str, int] | None = None
) -> list[onnx.NodeProto]:
    """The nodes that can be folded, in order; with `sizes` only those whose results are known to be small enough."""
    held, nodes = set(held), []
    for node in graph.node:
        made = [name for name in node.output if name]
        is_small = sizes is None or all(sizes.get(name, _MOST_ELEMENTS + 1) <= _MOST_ELEMENTS for name in made)
        if node.op_type in _FOLDED and is_small and all(name in held for name in node.input if name):
            held.update(made)
            nodes.append(node)
    return nodes


def _part(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], opset: int, known: Mapping[str, NDArray[np.float32]]
) -> onnx.ModelProto:
    wanted = {name for node in nodes for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in wanted]
    tensors += [numpy_helper.from_array(array, name) for name, array in known.items()]
    outputs = [onnx.ValueInfoProto(name=name) for node in nodes for name in node.output if name]
    part = helper.make_graph(nodes, "constants", [], outputs, tensors)
    return helper.make_model(part, opset_imports=[helper.make_opsetid("", opset)])


def _sizes(part: onnx.ModelProto) -> dict[str, int]:
    """Elements of each value, where that can be told without computing it."""
    inferred = onnx.shape_inference.infer_shapes(part, data_prop=True).graph
    sizes = {}
    for value in [*inferred.value_info, *inferred.output]:
        shape = value.type.tensor_type.shape
        if value.type.tensor_type.HasField("shape") and all(one.HasField("dim_value") for one in shape.dim):
            sizes[value.name] = math.prod(one.dim_value for one in shape.dim)
    return sizes


def _computed(part: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> dict[str, NDArray[np.float32]]:
    if not nodes:
        return {}
    names = [name for node in nodes for name in node.output if name]
    return {name: np.asarray(array) for name, array in zip(names, ReferenceEvaluator(part).run(names, {}), strict=True)}
