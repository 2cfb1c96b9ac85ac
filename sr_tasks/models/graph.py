"""The planes-to-planes graph: from a model's weights to one ONNX file for a kind of frame. Runs and stores nothing."""

import numpy as np
import onnx

from sr_tasks.errors import ModelRejected
from sr_tasks.models.builder import GraphBuilder
from sr_tasks.models.network import Network
from sr_tasks.models.prepared import GraphVariant
from sr_tasks.models.registry import ModelEntry
from sr_tasks.models.resample import RADIUS, Siting, chroma_siting, resampling_kernel

GRAPH_SCHEMA = 1
"""Raise it whenever the same model and variant give another graph: prepared models of an older schema are not used."""

_OPSET = 17
_FLOAT = onnx.TensorProto.FLOAT


def build_graph(entry: ModelEntry, variant: GraphVariant) -> onnx.ModelProto:
    """The graph that takes the decoder's planes and gives them at `variant.scale` times their size.

    Inputs `y`, `u`, `v` and outputs `y_out`, `u_out`, `v_out` are [1, 1, rows, columns] of any size, uint8 or uint16 in
    0..2^bit_depth - 1; gray has `y` alone. Luma goes through the model, chroma through the fixed resampler with
    exact siting; results are rounded half up. Output chroma has ceil(scale * luma / 2) samples on a halved axis.
    Raises ScaleUnsupported, and ModelRejected for weights that are not what the card says.
    """
    entry.require_scale(variant.scale)
    if entry.card.color != "luma":
        raise ModelRejected(f"The model {entry.label} works on {entry.card.color}.", hint="Use a luma model.")
    planes = _Planes(variant)
    opset = _upscale_luma(planes, entry)
    if variant.chroma != "gray":
        vertical, horizontal = chroma_siting(variant.chroma, variant.chroma_location)
        for name in ("u", "v"):
            planes.finish(name, planes.resample(planes.take(name), vertical, horizontal), variant.scale)
    return planes.builder.build(f"{entry.card.name}-x{variant.scale}", opset=opset)


def _upscale_luma(planes: "_Planes", entry: ModelEntry) -> int:
    """Add the luma path and return the opset it needs."""
    value = planes.take("y")
    if entry.card.kind == "resampler":
        planes.finish("y", planes.resample(value, "centred", "centred"), planes.variant.scale)
        return _OPSET
    network = Network(entry.read_weights(), entry.label)
    passes = entry.card.scales.index(planes.variant.scale) + 1
    result = network.inline(planes.builder, value, planes.peak)
    for _ in range(passes - 1):
        # A network is trained on pictures within their range, so the overshoot of the first pass is cut off.
        result = network.inline(planes.builder, planes.clip(planes.unfold(result.value, result.blocksize)), planes.peak)
    half = planes.builder.node("Add", [result.value, planes.builder.number("half", 0.5)])
    planes.finish("y", half, result.blocksize)
    return network.opset


class _Planes:
    """The graph of one variant while it is built; values between `take` and `finish` are float codes."""

    def __init__(self, variant: GraphVariant) -> None:
        self.variant = variant
        self.builder = GraphBuilder()
        self.peak = 2**variant.bit_depth - 1
        self._element_type = onnx.TensorProto.UINT8 if variant.bit_depth == 8 else onnx.TensorProto.UINT16
        self._low = self.builder.number("low", 0.0)
        self._high = self.builder.number("high", float(self.peak))
        self._chroma_size = ""
        self._kernels: dict[tuple[Siting, Siting], tuple[str, str]] = {}

    def take(self, name: str) -> str:
        """Declare an input plane and give it as float codes."""
        axis = "" if name == "y" else "chroma_"
        self.builder.declare_input(name, self._element_type, [1, 1, f"{axis}rows", f"{axis}columns"])
        return self.builder.node("Cast", [name], to=_FLOAT)

    def clip(self, value: str) -> str:
        return self.builder.node("Clip", [value, self._low, self._high])

    def unfold(self, value: str, blocksize: int, *, output: str = "") -> str:
        """DepthToSpace; nothing for a blocksize of 1, unless the result must have a name."""
        if blocksize == 1:
            return self.builder.node("Identity", [value], output=output) if output else value
        return self.builder.node("DepthToSpace", [value], output=output, blocksize=blocksize, mode="CRD")

    def resample(self, value: str, vertical: Siting, horizontal: Siting) -> str:
        """Enlarge a plane by the fixed kernel: [1, scale * scale, rows, columns], still to unfold, one half added."""
        if (vertical, horizontal) not in self._kernels:
            kernel = resampling_kernel(self.variant.scale, vertical, horizontal)
            half = np.full(len(kernel), 0.5, dtype=np.float32)
            names = self.builder.constant("kernel", kernel), self.builder.constant("half", half)
            self._kernels[vertical, horizontal] = names
        pads = self.builder.integers("pads", [0, 0, RADIUS, RADIUS, 0, 0, RADIUS, RADIUS])
        padded = self.builder.node("Pad", [value, pads], mode="edge")
        return self.builder.node("Conv", [padded, *self._kernels[vertical, horizontal]])

    def finish(self, plane: str, value: str, blocksize: int) -> None:
        """Declare the output of a plane: `value`, one half already added, clipped, truncated, unfolded and cut."""
        output = f"{plane}_out"
        axis = "" if plane == "y" else "chroma_"
        self.builder.declare_output(output, self._element_type, [1, 1, f"{axis}out_rows", f"{axis}out_columns"])
        cut = plane != "y" and self.variant.chroma in ("420", "422")
        name = self.builder.name(output) if cut else output
        value = self.clip(value)
        if self.variant.bit_depth == 8:
            # Moving bytes is cheaper than moving floats; not every runtime moves 16-bit integers.
            self.unfold(self.builder.node("Cast", [value], to=self._element_type), blocksize, output=name)
        else:
            self.builder.node("Cast", [self.unfold(value, blocksize)], to=self._element_type, output=name)
        if cut:
            self._cut_chroma(name, output)

    def _cut_chroma(self, value: str, output: str) -> None:
        """Leave off what lies beyond the edge of an odd luma plane: keep ceil(scale * luma / 2) on a halved axis."""
        if not self._chroma_size:
            halved = [2 if self.variant.chroma == "420" else 1, 2]
            size = self.builder.node("Shape", ["y"], start=2, end=4)
            size = self.builder.node("Mul", [size, self.builder.integers("scale", [self.variant.scale] * 2)])
            size = self.builder.node("Add", [size, self.builder.integers("rest", [by - 1 for by in halved])])
            self._chroma_size = self.builder.node("Div", [size, self.builder.integers("halved", halved)])
        starts, axes = self.builder.integers("starts", [0, 0]), self.builder.integers("axes", [2, 3])
        self.builder.node("Slice", [value, starts, self._chroma_size, axes], output=output)
