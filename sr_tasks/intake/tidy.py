"""The last touch on an ONNX graph: nothing of the machine left in it, one set of names. Computes nothing."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto, helper

from sr_tasks.errors import ModelInvalid

PRODUCER = "sr_tasks"


def tidied(model: onnx.ModelProto, *, scale: int, channels: int, fixed: tuple[int, int] | None) -> bytes:
    """The model's bytes, the same for the same model: without names of authors, paths and traces, and with the shapes
    of the canonical form declared. Raises ModelInvalid for what is no valid ONNX."""
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    for field in ("producer_version", "domain", "doc_string", "model_version", "metadata_props", "training_info"):
        clean.ClearField(field)
    clean.producer_name = PRODUCER
    graph = clean.graph
    graph.name = "network"
    for field in ("doc_string", "value_info", "metadata_props", "quantization_annotation"):
        graph.ClearField(field)
    for part in _parts(graph):
        part.ClearField("doc_string")
        if hasattr(part, "metadata_props"):
            part.ClearField("metadata_props")
    rows: int | str = "rows" if fixed is None else fixed[0]
    columns: int | str = "columns" if fixed is None else fixed[1]
    _declare(graph.input[0], [1, channels, rows, columns])
    out = ["out_rows", "out_columns"] if fixed is None else [scale * fixed[0], scale * fixed[1]]
    _declare(graph.output[0], [1, channels, *out])
    try:
        onnx.checker.check_model(clean)
    except onnx.checker.ValidationError as exc:
        raise ModelInvalid(f"The graph is no valid ONNX: {exc}", hint="Export the network again.") from exc
    return bytes(clean.SerializeToString(deterministic=True))


def parameters(model: onnx.ModelProto) -> int:
    """Numbers that were learned, or could have been: those in tensors of floats with more than one element."""
    sizes = (helper.tensor_dtype_to_np_dtype(tensor.data_type).kind == "f" for tensor in _tensors(model.graph))
    counts = (_elements(tensor) for tensor in _tensors(model.graph))
    return sum(count for count, is_float in zip(counts, sizes, strict=True) if is_float and count > 1)


def _declare(value: onnx.ValueInfoProto, shape: list[int | str]) -> None:
    value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape))


def _elements(tensor: onnx.TensorProto) -> int:
    count = 1
    for size in tensor.dims:
        count *= size
    return count


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (one.t for one in node.attribute if one.HasField("t"))


def _parts(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto | onnx.TensorProto | onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.output
    yield from _tensors(graph)
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
