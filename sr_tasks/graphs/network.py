"""A network taken into a larger graph: its nodes copied, its constants and unit range folded. Never touches files.

A registered network takes values from 0 to 1. The graph around it works with integer codes. So the network's nodes and
weights are copied under names of their own, and what depends on constants alone is computed once.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import helper, numpy_helper

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.builder import GraphBuilder
from sr_tasks.graphs.folding import fold
from sr_tasks.graphs.form import LEVEL, OPSETS

_LINEAR_MOVES = frozenset({"DepthToSpace", "Identity", "Reshape", "Transpose"})
_PASSING_PADS = frozenset({b"edge", b"reflect", b"wrap"})


@dataclass(frozen=True, kw_only=True)
class Inlined:
    """Where the copy of a network ends: in `value`; `blocksize` is that of a DepthToSpace left off, or 1."""

    value: str
    blocksize: int


class Network:
    """A parsed weights file: one float input [1, C, H, W] in 0..1, one output [1, C, scale * H, scale * W]; C is 1 for
    luma and 3 for R, G, B. A network that is told a level has it as its second input, called `level`."""

    def __init__(self, data: bytes, label: str, *, channels: int = 1, level: float | None = None) -> None:
        """`level`, in 8-bit codes, becomes a constant of the network, and so does all that is computed from it.

        Raises ModelRejected for anything but a plain, self-contained ONNX graph of that form.
        """
        try:
            model = onnx.load_from_string(data)
            self._graph = model.graph
            self._label = label
            # Before the checker, which would look for files that tensors name.
            self._refuse_what_cannot_be_copied()
            onnx.checker.check_model(model)
        except (DecodeError, onnx.checker.ValidationError) as exc:
            raise _rejected(label, f"are no valid ONNX file: {exc}") from exc
        self.opset = _standard_opset(model, label)
        self.channels = channels
        self._input, self._output = self._signature(channels, level)
        self._graph = self._folded(level)

    def _signature(self, channels: int, level: float | None) -> tuple[str, str]:
        """The names of the picture that goes in and of the one that comes out."""
        constants = {tensor.name for tensor in self._graph.initializer}
        inputs = [value for value in self._graph.input if value.name not in constants]
        names, outputs = [value.name for value in inputs], [value.name for value in self._graph.output]
        expected = [names[0] if names else "a picture", *([LEVEL] if level is not None else [])]
        if names != expected or len(outputs) != 1:
            raise _rejected(self._label, f"have inputs {names} and outputs {outputs}, not {expected} and one")
        sizes = inputs[0].type.tensor_type.shape.dim
        if len(sizes) > 1 and sizes[1].dim_value not in (0, channels):
            raise _rejected(
                self._label, f"are of {sizes[1].dim_value} channels, their card of {'rgb' if channels == 3 else 'luma'}"
            )
        return names[0], outputs[0]

    def _folded(self, level: float | None) -> onnx.GraphProto:
        known = {} if level is None else {LEVEL: np.array([level], dtype=np.float32)}
        try:
            return fold(self._graph, self.opset, known)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as exc:
            raise _rejected(self._label, f"hold constants that cannot be computed: {exc}") from exc

    def _refuse_what_cannot_be_copied(self) -> None:
        constants = (attribute.t for node in self._graph.node for attribute in node.attribute)
        for tensor in (*self._graph.initializer, *constants):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise _rejected(self._label, f"keep {tensor.name} in another file")
        for node in self._graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise _rejected(self._label, f"use the operator {node.domain}.{node.op_type}, which is not standard")
            if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
                raise _rejected(self._label, f"use the control flow operator {node.op_type}")

    def inline(self, builder: GraphBuilder, value: str, peak: int = 1) -> Inlined:
        """Copy the nodes into `builder`, fed by the float `value` in 0..peak, and give their output in the same range.

        The factors 1/peak and peak go into the weights of convolutions where the graph allows it: nothing is left
        to compute, and a path that is linear keeps its exact weights, which matters at bf16.
        """
        copy = _Copy(self._graph, builder, self._input, value)
        if peak != 1:
            copy.scale_input(1.0 / peak)
        result = copy.rename[self._output] if peak == 1 else copy.scaled(copy.rename[self._output], float(peak))
        last = copy.producers.get(result)
        blocksize = 1
        # With one output channel both orders of DepthToSpace are the same.
        if last is not None and last.op_type == "DepthToSpace" and self.channels == 1 and copy.is_used_once(result):
            blocksize = int(_attribute(last, "blocksize", 1))
            copy.nodes.remove(last)
            result = last.input[0]
        copy.commit()
        return Inlined(value=result, blocksize=blocksize)


class _Copy:
    """The renamed nodes of one inlined network, while factors are moved through them."""

    def __init__(self, graph: onnx.GraphProto, builder: GraphBuilder, source: str, codes: str) -> None:
        self._builder = builder
        self._source = codes
        self.rename = {"": "", source: codes}
        self.nodes = [self._renamed(node) for node in graph.node]
        self._tensors = {}
        for tensor in graph.initializer:
            self.rename[tensor.name] = builder.name(tensor.name)
            self._tensors[self.rename[tensor.name]] = tensor
        for node in self.nodes:
            node.input[:] = [self.rename[name] for name in node.input]
        self.producers = {name: node for node in self.nodes for name in node.output}
        self._uses = Counter(name for node in self.nodes for name in node.input)
        self._uses[self.rename[graph.output[0].name]] += 1
        self._factors: dict[str, tuple[float, float]] = {}

    def _renamed(self, node: onnx.NodeProto) -> onnx.NodeProto:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        for name in node.output:
            if name:
                self.rename[name] = self._builder.name(name)
        copy.output[:] = [self.rename[name] for name in node.output]
        copy.name = f"{copy.output[0]}/{copy.op_type}"
        return copy

    def scale_input(self, factor: float) -> None:
        """Let every reader of the source see it multiplied by `factor`: in the weights of a convolution where it
        goes straight (or through a pad) into one, by a Mul otherwise."""
        unscaled = {self._source}
        products: dict[str, str] = {}
        for node in list(self.nodes):
            if not unscaled.intersection(node.input):
                continue
            if node.op_type == "Pad" and _attribute(node, "mode", b"constant") in _PASSING_PADS:
                unscaled.add(node.output[0])
            elif self._has_weights(node) and node.input[0] in unscaled:
                self._multiply_weights(node, factor, 1.0)
            else:
                for slot, name in enumerate(node.input):
                    if name in unscaled:
                        if name not in products:
                            products[name] = self._product(name, factor, before=node)
                        node.input[slot] = products[name]

    def scaled(self, value: str, factor: float) -> str:
        """The name of a value that holds `value` times `factor`; the factor goes as far up the graph as it can."""
        node = self.producers.get(value)
        if node is None or not self.is_used_once(value):
            return self._product(value, factor, before=None)
        if node.op_type in _LINEAR_MOVES:
            node.input[0] = self.scaled(node.input[0], factor)
        elif node.op_type == "Add":
            for slot in (0, 1):
                node.input[slot] = self.scaled(node.input[slot], factor)
        elif self._has_weights(node):
            self._multiply_weights(node, factor, factor)
        else:
            return self._product(value, factor, before=None)
        return value

    def is_used_once(self, value: str) -> bool:
        return self._uses[value] == 1

    def _has_weights(self, node: onnx.NodeProto) -> bool:
        return node.op_type == "Conv" and all(name in self._tensors for name in node.input[1:])

    def _multiply_weights(self, node: onnx.NodeProto, weights: float, bias: float) -> None:
        before = self._factors.get(node.name, (1.0, 1.0))
        self._factors[node.name] = before[0] * weights, before[1] * bias

    def _product(self, value: str, factor: float, *, before: onnx.NodeProto | None) -> str:
        output = self._builder.name(f"{value}_scaled")
        inputs = [value, self._builder.number("factor", factor)]
        node = helper.make_node("Mul", inputs, [output], name=f"{output}/Mul")
        producer = self.producers.get(value)
        at = self.nodes.index(before) if before is not None else self.nodes.index(producer) + 1 if producer else 0
        self.nodes.insert(at, node)
        self.producers[output] = node
        return output

    def commit(self) -> None:
        """Hand nodes and weights to the builder."""
        for node in self.nodes:
            for slot, factor in zip((1, 2), self._factors.get(node.name, ()), strict=False):
                if slot < len(node.input) and node.input[slot] and abs(factor - 1.0) > np.finfo(np.float32).eps / 4:
                    array = numpy_helper.to_array(self._tensors[node.input[slot]]).astype(np.float64) * factor
                    node.input[slot] = self._builder.constant("weights", array.astype(np.float32))
        wanted = {name for node in self.nodes for name in node.input}
        for name, tensor in self._tensors.items():
            if name in wanted:
                copy = self._builder_tensor(tensor, name)
                self._builder.initializers.append(copy)
        self._builder.nodes.extend(self.nodes)

    @staticmethod
    def _builder_tensor(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = name
        return copy


def _attribute(node: onnx.NodeProto, name: str, default: bytes | int) -> bytes | int:
    for attribute in node.attribute:
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            if isinstance(value, (bytes, int)):
                return value
    return default


def _standard_opset(model: onnx.ModelProto, label: str) -> int:
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            if opset.version not in OPSETS:
                raise _rejected(label, f"need ONNX opset {opset.version}, known are {OPSETS.start}..{OPSETS.stop - 1}")
            return int(opset.version)
    raise _rejected(label, "name no ONNX opset")


def _rejected(label: str, what: str) -> ModelRejected:
    return ModelRejected(f"The weights of {label} {what}.", hint="Export the model again, or restore its weights file.")
