"""The form of a registered network: what must be true of the ONNX file that a graph is built around. Runs nothing."""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from sr_tasks.records.cards import ModelCard

OPSETS = range(15, 24)
LEVEL = "level"
"""Name of the second input of a network that is told how far its source departs from a clean one: float32 [1]."""

_STANDARD = ("", "ai.onnx")
_CHANNELS = {"luma": 1, "rgb": 3}


def form_problems(data: bytes, card: ModelCard) -> tuple[str, ...]:
    """In what the file departs from the canonical form, a few words each; empty if it has it.

    The form: one self-contained file of standard operators, opset 15 to 23; one input float32 [1, C, H, W] with C 1
    for luma and 3 for RGB, H and W open unless the card fixes them; one output float32; a second input `level`,
    float32 [1], if the card has a level. Scale and range of values show when it runs.
    """
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        return ("it is no ONNX file",)
    return tuple([*_contents(model), *_signature(model.graph, card), *_check(model)])


def _contents(model: onnx.ModelProto) -> Iterator[str]:
    opsets = {one.domain: one.version for one in model.opset_import}
    standard = next((opsets[domain] for domain in _STANDARD if domain in opsets), None)
    if standard not in OPSETS:
        yield f"its opset is {standard}, not {OPSETS.start} to {OPSETS.stop - 1}"
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _STANDARD})
    if foreign:
        yield f"it has operators that are not standard: {', '.join(foreign[:3])}"
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        yield "it keeps weights in another file"


def _signature(graph: onnx.GraphProto, card: ModelCard) -> Iterator[str]:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    expected = ["a picture", LEVEL] if card.level is not None else ["a picture"]
    if len(inputs) != len(expected) or (card.level is not None and inputs[1].name != LEVEL):
        yield f"its inputs are {', '.join(value.name for value in inputs) or 'none'}, not {' and '.join(expected)}"
    if len(graph.output) != 1:
        yield f"it has {len(graph.output)} outputs, not one"
    for value in [*inputs, *graph.output]:
        if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            yield f"{value.name} is not float32"
    if inputs:
        yield from _picture(inputs[0], card)


def _picture(value: onnx.ValueInfoProto, card: ModelCard) -> Iterator[str]:
    shape = [size.dim_value or None for size in value.type.tensor_type.shape.dim]
    fixed = card.tiles.fixed
    expected = [1, _CHANNELS[card.color], *(fixed or (None, None))]
    if shape != expected:
        yield f"{value.name} is {_words(shape)}, not {_words(expected)}"


def _words(shape: list[int | None]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def _check(model: onnx.ModelProto) -> Iterator[str]:
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as exc:
        yield f"ONNX's own check says: {str(exc).splitlines()[0] if str(exc) else type(exc).__name__}"
