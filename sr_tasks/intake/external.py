"""Brings the weights that an ONNX file keeps in other files into one file. Runs nothing.

Source of the format: ONNX's "External Data": `location`, `offset` and `length` of each tensor's raw bytes.
"""

from collections.abc import Callable
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from sr_tasks.errors import InputTooLarge, ModelInvalid
from sr_tasks.intake.surgery import tensors
from sr_tasks.storage.failures import reading, writing


def packed(path: Path, fetch: Callable[[str], Path], folder: Path, *, max_bytes: int) -> Path:
    """`path` itself if it is whole, else the same network as one file in `folder`, the same bytes every time.

    `fetch` gives the file of a name beside `path`. Raises ModelInvalid for a tensor that lies outside its file,
    InputTooLarge for a network of more than `max_bytes`, and what `fetch` raises.
    """
    with reading(path):
        model = onnx.load_model(path, load_external_data=False)
    parts = [one for one in tensors(model.graph) if one.data_location == TensorProto.EXTERNAL]
    if not parts:
        return path
    if (size := sum(_size(one) for one in parts)) > max_bytes:
        raise InputTooLarge(
            f"The weights of {path.name!r} have {size} bytes, allowed are {max_bytes}.",
            hint="Raise SR_MAX_WEIGHTS_BYTES if that is right.",
        )
    files: dict[str, Path] = {}
    for tensor in parts:
        fields = {entry.key: entry.value for entry in tensor.external_data}
        name = fields.get("location", "")
        if name not in files:
            files[name] = fetch(name)
        tensor.raw_data = _read(files[name], fields, tensor, path.name)
        tensor.ClearField("external_data")
        tensor.data_location = TensorProto.DEFAULT
    target = folder / f"{path.stem}-whole.onnx"
    with writing(target):
        target.write_bytes(model.SerializeToString(deterministic=True))
    return target


def _read(file: Path, fields: dict[str, str], tensor: TensorProto, label: str) -> bytes:
    size = _size(tensor)
    try:
        offset, length = int(fields.get("offset") or 0), int(fields.get("length") or size)
    except ValueError as exc:
        raise _outside(label, tensor, file, f"its place is {fields!r}") from exc
    if offset < 0 or length != size:
        raise _outside(label, tensor, file, f"{length} bytes from {offset} on are not its {size} bytes")
    with reading(file), file.open("rb") as stored:
        stored.seek(offset)
        data = stored.read(size)
    if len(data) < size:
        raise _outside(label, tensor, file, f"the file ends {size - len(data)} bytes too early")
    return data


def _size(tensor: TensorProto) -> int:
    """Bytes of the tensor's numbers. A kind that is not a whole number of bytes counts as one each."""
    count = int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    for size in tensor.dims:
        count *= size
    return count


def _outside(label: str, tensor: TensorProto, file: Path, why: str) -> ModelInvalid:
    return ModelInvalid(
        f"The tensor {tensor.name!r} of {label!r} cannot be read from {file.name!r}: {why}.",
        hint="Bring the file that belongs to this .onnx.",
    )
