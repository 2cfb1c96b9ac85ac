"""Networks before they are converted: constants worked out, layers that fold into others folded. Changes no result."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnxruntime.quantization.onnx_model import ONNXModel

from sr_tasks.errors import ModelRejected
from sr_tasks.graphs.form import LEVEL
from sr_tasks.graphs.verify import ONNXRUNTIME_ERRORS

_STANDARD = ("", "ai.onnx")


def simplified(weights: bytes, *, level: float | None, label: str) -> onnx.ModelProto:
    """The network with what follows from constants alone as constants, and a name for every node.

    `level` takes the place of the input of that name; None for a network that has none. Raises ModelRejected for a
    network that ONNX Runtime does not take.
    """
    model = onnx.load_model_from_string(weights)
    if level is not None:
        for value in [value for value in model.graph.input if value.name == LEVEL]:
            model.graph.input.remove(value)
            model.graph.initializer.append(numpy_helper.from_array(np.array([level], dtype=np.float32), LEVEL))
    options = ort.SessionOptions()
    # Basic leaves standard operators alone; what it gives runs everywhere.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory(prefix="sr_simplify.") as folder:
        path = Path(folder) / "network.onnx"
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except ONNXRUNTIME_ERRORS as exc:
            raise ModelRejected(f"The network of {label} does not run: {exc}", hint="Export the model again.") from exc
        simple = onnx.load_model(path)
    for number, node in enumerate(simple.graph.node):
        node.name = f"{number}_{node.op_type}"
    standard = [opset for opset in simple.opset_import if opset.domain in _STANDARD]
    del simple.opset_import[:]
    simple.opset_import.extend(standard)
    return onnx.shape_inference.infer_shapes(simple)


def in_order(model: onnx.ModelProto) -> bytes:
    """The serialised model with every node behind those it depends on. The same model gives the same bytes."""
    sorted_model = ONNXModel(model)
    sorted_model.topological_sort()
    return bytes(sorted_model.model.SerializeToString(deterministic=True))
