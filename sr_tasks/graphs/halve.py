"""Networks in fp16, for GPUs: weights and what flows between layers have 16 bits, input and output stay float32."""

from onnxruntime.transformers.float16 import convert_float_to_float16

from sr_tasks.graphs.simplify import in_order, simplified


def halve(weights: bytes, *, level: float | None, label: str) -> bytes:
    """The canonical network `weights` in fp16. Operators that have no fp16 stay as they are, between casts. A `level`
    is folded into the network. Raises ModelRejected for a network that does not run."""
    model = simplified(weights, level=level, label=label)
    return in_order(convert_float_to_float16(model, keep_io_types=True))
