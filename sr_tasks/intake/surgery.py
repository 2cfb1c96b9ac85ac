"""Changes to a parsed ONNX graph: types, sizes, channels, ranges. Runs nothing and judges nothing but the form."""

from collections.abc import Iterator, Mapping, MutableSequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.errors import ModelInvalid
from sr_tasks.graphs.form import LEVEL

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def picture_input(graph: onnx.GraphProto, label: str) -> onnx.ValueInfoProto:
    """The input that takes the picture. Raises ModelInvalid unless it is the only one, but for `level`, and is of
    float or half and four dimensions."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if not inputs or any(value.name != LEVEL for value in inputs[1:]):
        names = ", ".join(value.name for value in inputs) or "none"
        raise ModelInvalid(
            f"{label} cannot be used: its inputs are {names}, not one picture.",
            hint="Give every input but the picture a constant value: --input NAME=VALUE.",
        )
    for value in (inputs[0], graph.output[0]):
        kind = value.type.tensor_type.elem_type
        if kind not in _FLOATS:
            name = TensorProto.DataType.Name(kind).lower() if kind else "unknown"
            raise _unfit(label, f"{value.name} is of type {name}, not float or half")
    picture: onnx.ValueInfoProto = inputs[0]
    return picture


def is_told_level(graph: onnx.GraphProto) -> bool:
    return any(value.name == LEVEL for value in graph.input)


def channels(picture: onnx.ValueInfoProto, label: str) -> int:
    """1 or 3. Raises ModelInvalid for anything but [N, 1 or 3, H, W]."""
    sizes: list[int] = [size.dim_value for size in picture.type.tensor_type.shape.dim]
    if len(sizes) == 4 and sizes[1] in (1, 3):
        return sizes[1]
    shown = ", ".join(str(size) if size else "any" for size in sizes)
    raise _unfit(label, f"its input is [{shown}], not a picture of 1 or 3 channels")


def has_channels_last(picture: onnx.ValueInfoProto) -> bool:
    """Whether the picture is [N, H, W, 1 or 3], as TensorFlow exports it."""
    sizes: list[int] = [size.dim_value for size in picture.type.tensor_type.shape.dim]
    return len(sizes) == 4 and sizes[1] not in (1, 3) and sizes[3] in (1, 3)


def put_channels_first(model: onnx.ModelProto) -> None:
    """Let a graph that takes and gives [N, H, W, C] take and give [N, C, H, W]."""
    graph = model.graph
    sizes = [_size(size) for size in _picture(graph).type.tensor_type.shape.dim]
    _feed(graph, "Transpose", None, perm=[0, 2, 3, 1])
    _follow(graph, "Transpose", None, perm=[0, 3, 1, 2])
    kind = _picture(graph).type.tensor_type.elem_type
    first = [sizes[index] for index in (0, 3, 1, 2)]
    _picture(graph).CopyFrom(helper.make_tensor_value_info(_picture(graph).name, kind, first))
    graph.output[0].type.tensor_type.ClearField("shape")
    graph.ClearField("value_info")


def with_inputs_set(model: onnx.ModelProto, values: Mapping[str, float], label: str) -> onnx.ModelProto:
    """A copy with constants in place of inputs: every number of input NAME is `values[NAME]`.

    A size that the file leaves open becomes 1. Raises ModelInvalid for a name that no input has.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    named = {value.name: value for value in graph.input}
    for name, value in values.items():
        if name not in named:
            raise ModelInvalid(
                f"{label} has no input {name!r}: its inputs are {', '.join(named)}.", hint="Name one of them."
            )
        kind = named[name].type.tensor_type
        shape = [max(1, size.dim_value) for size in kind.shape.dim]
        constant = np.full(shape, value).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
        graph.input.remove(named[name])
        graph.initializer.append(numpy_helper.from_array(constant, name))
    return copy


def static_size(picture: onnx.ValueInfoProto) -> tuple[int, int] | None:
    """Rows and columns if both are given, None if the picture may be of any size."""
    sizes = picture.type.tensor_type.shape.dim
    rows, columns = sizes[2].dim_value, sizes[3].dim_value
    return (rows, columns) if rows > 0 and columns > 0 else None


def static_batch(graph: onnx.GraphProto, label: str) -> int:
    """How many pictures the graph takes at once; 1 if that is open."""
    size: int = picture_input(graph, label).type.tensor_type.shape.dim[0].dim_value
    return max(1, size)


def set_batch_of_one(graph: onnx.GraphProto) -> None:
    """Let the graph take and give one picture."""
    for value in (_picture(graph), graph.output[0]):
        sizes = value.type.tensor_type.shape.dim
        if len(sizes) == 4:
            sizes[0].Clear()
            sizes[0].dim_value = 1
    graph.ClearField("value_info")


def open_sizes(graph: onnx.GraphProto) -> None:
    """Let the graph take a picture of any size, as far as its declarations go."""
    sizes = _picture(graph).type.tensor_type.shape.dim
    for index, name in ((2, "rows"), (3, "columns")):
        sizes[index].Clear()
        sizes[index].dim_param = name
    graph.output[0].type.tensor_type.ClearField("shape")
    graph.ClearField("value_info")


def drop_constant_inputs(graph: onnx.GraphProto) -> None:
    """Old files list their weights among the inputs, where a caller could replace them."""
    constants = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in constants]
    del graph.input[:]
    graph.input.extend(kept)


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same weights and the same graph with every half made a float; nothing is rounded. A copy."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in tensors(copy.graph):
        if tensor.data_type == TensorProto.FLOAT16:
            wide = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
            tensor.CopyFrom(wide)
    for value in (*copy.graph.input, *copy.graph.output):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("to", "dtype", "output_dtype") and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    copy.graph.ClearField("value_info")
    return copy


def wrap(model: onnx.ModelProto, *, given: float, made: float, is_bgr: bool) -> None:
    """Let the graph take and give R, G, B in 0..1, where it took 0..`given`, gave 0..`made`, or had B, G, R."""
    graph = model.graph
    if is_bgr:
        _turn(graph)
    if given != 1.0:
        _feed(graph, "Mul", _number(graph, "given", given))
    if made != 1.0:
        _follow(graph, "Mul", _number(graph, "made", 1.0 / made))


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every constant of the graph, wherever it is kept."""
    yield from graph.initializer
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))


def _turn(graph: onnx.GraphProto) -> None:
    order = numpy_helper.from_array(np.array([2, 1, 0], dtype=np.int64), _free(graph, "bgr"))
    graph.initializer.append(order)
    _feed(graph, "Gather", order.name, axis=1)
    _follow(graph, "Gather", order.name, axis=1)


def _feed(graph: onnx.GraphProto, operator: str, constant: str | None, **attributes: int | list[int]) -> None:
    """Put a node between the picture and all that reads it."""
    source = _picture(graph).name
    fed = _free(graph, "fed")
    for node in graph.node:
        _rename(node.input, source, fed)
    graph.node.insert(0, _node(operator, [source, *_given(constant)], fed, attributes))


def _follow(graph: onnx.GraphProto, operator: str, constant: str | None, **attributes: int | list[int]) -> None:
    """Put a node behind the output."""
    output = graph.output[0].name
    inner = _free(graph, "inner")
    for node in graph.node:
        _rename(node.input, output, inner)
        _rename(node.output, output, inner)
    graph.node.append(_node(operator, [inner, *_given(constant)], output, attributes))


def _given(constant: str | None) -> list[str]:
    return [] if constant is None else [constant]


def _size(size: onnx.TensorShapeProto.Dimension) -> int | str:
    return size.dim_value or size.dim_param or "any"


def _node(operator: str, inputs: list[str], output: str, attributes: Mapping[str, int | list[int]]) -> onnx.NodeProto:
    node = helper.make_node(operator, inputs, [output], name=f"{output}/{operator}")
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def _rename(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def _number(graph: onnx.GraphProto, stem: str, value: float) -> str:
    tensor = helper.make_tensor(_free(graph, stem), TensorProto.FLOAT, [], [value])
    graph.initializer.append(tensor)
    return str(tensor.name)


def _free(graph: onnx.GraphProto, stem: str) -> str:
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken.update(tensor.name for tensor in graph.initializer)
    return next(name for name in (f"{stem}_{count}" for count in range(len(taken) + 1)) if name not in taken)


def _picture(graph: onnx.GraphProto) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in graph.initializer}
    picture: onnx.ValueInfoProto = next(value for value in graph.input if value.name not in constants)
    return picture


def _unfit(label: str, why: str) -> ModelInvalid:
    return ModelInvalid(f"{label} cannot be used: {why}.", hint="Export it from picture to picture, in float32.")
