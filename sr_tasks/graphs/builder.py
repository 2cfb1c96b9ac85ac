"""A small ONNX graph under construction: unique names, constants, nodes. Knows nothing of video or of models."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Attribute = int | str | Sequence[int]


class GraphBuilder:
    """Collects nodes in topological order, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def name(self, stem: str) -> str:
        """A name no other value has."""
        self._count += 1
        return f"{stem}_{self._count}"

    def constant(self, stem: str, array: NDArray[np.float32] | NDArray[np.int64]) -> str:
        name = self.name(stem)
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def number(self, stem: str, value: float) -> str:
        """A float32 scalar."""
        name = self.name(stem)
        self.initializers.append(helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value]))
        return name

    def integers(self, stem: str, values: Sequence[int]) -> str:
        return self.constant(stem, np.array(values, dtype=np.int64))

    def node(self, op_type: str, inputs: Sequence[str], *, output: str = "", **attributes: Attribute) -> str:
        """Add a node with one output and return the output's name. onnx.checker refuses attributes it does not know."""
        output = output or self.name(op_type.lower())
        node = helper.make_node(op_type, list(inputs), [output], name=f"{output}/{op_type}")
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return output

    def split(self, value: str, count: int) -> list[str]:
        """The channels of a value one by one."""
        names = [self.name("channel") for _ in range(count)]
        sizes = self.integers("sizes", [1] * count)
        self.nodes.append(helper.make_node("Split", [value, sizes], names, name=f"{names[0]}/Split", axis=1))
        return names

    def declare_input(self, name: str, element_type: int, dims: Sequence[int | str]) -> None:
        self._inputs.append(helper.make_tensor_value_info(name, element_type, list(dims)))

    def declare_output(self, name: str, element_type: int, dims: Sequence[int | str]) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, element_type, list(dims)))

    def build(self, name: str, *, opset: int) -> onnx.ModelProto:
        """The checked model."""
        graph = helper.make_graph(self.nodes, name, self._inputs, self._outputs, self.initializers)
        opsets = [helper.make_opsetid("", opset)]
        model = helper.make_model(
            graph, opset_imports=opsets, producer_name="sr_tasks", ir_version=helper.find_min_ir_version_for(opsets)
        )
        onnx.checker.check_model(model, full_check=True)
        return model
