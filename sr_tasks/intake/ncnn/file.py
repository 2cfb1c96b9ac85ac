"""Reads ncnn's pair of files, NAME.param and NAME.bin, as an ONNX graph. Runs nothing of them.

The pair is kept as one ZIP, so that a version has one original with one hash.

Source of the format: ncnn's wiki, "param and model file structure" and "operators"; values checked against ncnn itself.
Blobs of ncnn are [channels, rows, columns]; the graph's tensors are [1, channels, rows, columns], float32.
"""

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sr_tasks.errors import ModelInvalid
from sr_tasks.intake.ncnn import convolution, pointwise, shape
from sr_tasks.intake.ncnn.layer import Converter, Layer, Unsupported, Values
from sr_tasks.storage.failures import reading, writing

MAGIC: Final = "7767517"
_KINDS: Final = {**convolution.KINDS, **pointwise.KINDS, **shape.KINDS}
_OPSET: Final = 17
_MAX_PARAM_BYTES: Final = 16 << 20
_MAX_LAYERS: Final = 100_000
_FLOAT16, _FLOAT32 = 0x01306B47, 0x0002C056
_INT8: Final = 0x000D4B38
_ARRAY_KEY: Final = -23300
"""Parameter k as an array has the key -23300 - k."""


def is_param(path: Path) -> bool:
    """Whether the file begins as a .param text does."""
    with reading(path), path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC.encode()


def is_pair(archive: zipfile.ZipFile) -> bool:
    """Whether a ZIP holds a .param and its .bin and nothing else."""
    return sorted(Path(name).suffix for name in archive.namelist()) == [".bin", ".param"]


def packed(param: Path, weights: Path, folder: Path) -> Path:
    """Both files as one ZIP in `folder`, the same bytes every time."""
    target = folder / f"{param.stem}.zip"
    with writing(target), zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in (param, weights):
            with reading(path):
                archive.writestr(zipfile.ZipInfo(f"{param.stem}{path.suffix}"), path.read_bytes())
    return target


def read_ncnn(pair: Path) -> onnx.ModelProto:
    """The network of a ZIP that `packed` made: one input and one output [1, 1 or 3, rows, columns], float32.

    Raises ModelInvalid with the line and the layer that cannot be read or converted.
    """
    with reading(pair), zipfile.ZipFile(pair) as archive:
        names = {Path(name).suffix: name for name in archive.namelist()}
        label = Path(names[".param"]).name
        if archive.getinfo(names[".param"]).file_size > _MAX_PARAM_BYTES:
            raise _refused(label, f"it has more than {_MAX_PARAM_BYTES} bytes")
        text, data = archive.read(names[".param"]), archive.read(names[".bin"])
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as exc:
        raise _refused(label, "it is not a text", "Bring the text form of the .param file.") from exc
    stored = _Stored(Path(names[".bin"]).name, data)
    graph = _Graph(label, stored)
    for layer in _layers(label, lines):
        graph.add(layer)
    if stored.left:
        raise ModelInvalid(
            f"{Path(names['.bin']).name!r} has {stored.left} bytes more than {label!r} takes.",
            hint="Bring the .bin that belongs to this .param.",
        )
    return graph.model()


def _refused(label: str, why: str, hint: str = "Fetch the file again.") -> ModelInvalid:
    return ModelInvalid(f"{label!r} is not a .param of ncnn: {why}.", hint=hint)


def _layers(label: str, lines: list[str]) -> list[Layer]:
    if not lines or lines[0].strip() != MAGIC:
        raise _refused(label, f"its first line is not {MAGIC}")
    try:
        count = int(lines[1].split()[0])
    except (IndexError, ValueError) as exc:
        raise _refused(label, "its second line does not say how many layers there are") from exc
    rows = [(number, line.split()) for number, line in enumerate(lines[2:], start=3) if line.strip()]
    if count != len(rows) or count > _MAX_LAYERS:
        raise _refused(label, f"it announces {count} layers and holds {len(rows)}")
    return [_layer(label, number, words) for number, words in rows]


def _layer(label: str, number: int, words: list[str]) -> Layer:
    try:
        kind, name, inputs, outputs = words[0], words[1], int(words[2]), int(words[3])
        blobs, rest = words[4 : 4 + inputs + outputs], words[4 + inputs + outputs :]
        if min(inputs, outputs) < 0 or len(blobs) != inputs + outputs:
            raise ValueError("blobs are missing")
        values: Values = {}
        for pair in rest:
            key, _, value = pair.partition("=")
            if int(key) <= _ARRAY_KEY:
                values[_ARRAY_KEY - int(key)] = [float(one) for one in value.split(",")[1:]]
            else:
                values[int(key)] = float(value)
    except (IndexError, ValueError) as exc:
        raise _refused(label, f"line {number} is not a layer ({exc})") from exc
    return Layer(
        kind=kind, name=name, inputs=tuple(blobs[:inputs]), outputs=tuple(blobs[inputs:]), values=values, line=number
    )


class _Stored:
    """The .bin file, read from its beginning to its end in the order of the layers."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data, self._at = name, data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def plain(self, count: int) -> NDArray[np.float32]:
        """`count` values of float32."""
        return np.frombuffer(self._take(4 * count), dtype="<f4").astype(np.float32)

    def flagged(self, count: int) -> NDArray[np.float32]:
        """`count` values behind a word that says how they are stored: float32, float16, or a table of 256 values."""
        flag = int(np.frombuffer(self._take(4), dtype="<u4")[0])
        if flag in (0, _FLOAT32):
            return self.plain(count)
        if flag == _FLOAT16:
            return np.frombuffer(self._take(_padded(2 * count))[: 2 * count], dtype="<f2").astype(np.float32)
        if flag == _INT8:
            raise Unsupported("its weights are int8", "Bring the float16 or float32 form.")
        table = self.plain(256)
        return table[np.frombuffer(self._take(_padded(count))[:count], dtype=np.uint8)]

    def _take(self, size: int) -> bytes:
        if size < 0 or self._at + size > len(self._data):
            raise Unsupported(
                f"{self._name!r} ends after {len(self._data)} bytes, in the middle of it",
                "Bring the .bin that belongs to this .param.",
            )
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


def _converter(layer: Layer) -> Converter:
    if layer.kind not in _KINDS:
        raise Unsupported("networks with it are not known here")
    return _KINDS[layer.kind]


def _padded(size: int) -> int:
    return -(-size // 4) * 4


class _Graph:
    """The ONNX graph while it is put together, layer by layer."""

    def __init__(self, label: str, stored: _Stored) -> None:
        self._label, self._stored = label, stored
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[TensorProto] = []
        self._picture = ""
        self._channels = 0
        self._made: dict[str, str] = {}
        """Blob of ncnn to tensor of the graph."""
        self._used: set[str] = set()
        """Blobs that a layer takes, and those of a Split, which are no results of their own."""

    def add(self, layer: Layer) -> None:
        try:
            if layer.kind == "Input":
                self._input(layer)
            elif layer.kind == "Split":
                self._made.update(dict.fromkeys(layer.outputs, self._of(layer.inputs[0])))
                self._used.update(layer.outputs)
            else:
                inputs = [self._of(blob) for blob in layer.inputs]
                (blob,) = layer.outputs
                self._made[blob] = _converter(layer)(self, self._stored, layer, inputs)
        except Unsupported as exc:
            raise ModelInvalid(
                f"{self._label!r}, line {layer.line}: the layer {layer.name!r} ({layer.kind}) cannot be converted: "
                f"{exc}.",
                hint=exc.hint,
            ) from exc
        except (KeyError, IndexError, ValueError, ArithmeticError) as exc:
            raise ModelInvalid(
                f"{self._label!r}, line {layer.line}: the layer {layer.name!r} ({layer.kind}) is malformed ({exc!r}).",
                hint="Fetch the file again.",
            ) from exc

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        """A node with one output; gives the output's name."""
        output = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, values: NDArray[Any] | np.float32) -> str:
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def fed(self, channels: int) -> None:
        """Learn from a convolution how many channels it takes: those of the first are the picture's."""
        if not self._channels:
            self._channels = channels if channels in (1, 3) else 3

    def _of(self, blob: str) -> str:
        if blob not in self._made:
            raise Unsupported(f"no layer before it makes {blob!r}", "Fetch the file again.")
        self._used.add(blob)
        return self._made[blob]

    def _input(self, layer: Layer) -> None:
        if self._picture:
            raise Unsupported("it is a second input", "Bring a network from one picture to one.")
        self._picture = "input"
        self._made[layer.outputs[0]] = self._picture

    def model(self) -> onnx.ModelProto:
        ends = [blob for blob in self._made if blob not in self._used]
        if not self._picture or len(ends) != 1:
            raise ModelInvalid(
                f"{self._label!r} is not from one picture to one: it has {len(ends)} outputs.",
                hint="Bring a network from one picture to one.",
            )
        picture = helper.make_tensor_value_info(
            self._picture, TensorProto.FLOAT, [1, self._channels or 3, "rows", "columns"]
        )
        output = helper.make_tensor_value_info(
            self._made[ends[0]], TensorProto.FLOAT, [1, self._channels or 3, None, None]
        )
        graph = helper.make_graph(self._nodes, "ncnn", [picture], [output], self._constants)
        imports = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports))
