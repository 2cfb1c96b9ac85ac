"""The ends of a planes-to-planes graph: integer planes in, integer planes out. Knows neither networks nor colours."""

from collections.abc import Sequence

import numpy as np
import onnx

from sr_tasks.graphs.builder import GraphBuilder
from sr_tasks.planes.resample import RADIUS, Siting, resampling_kernel
from sr_tasks.records.prepared import GraphVariant

_FLOAT = onnx.TensorProto.FLOAT


class PlaneGraph:
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

    @property
    def halved(self) -> tuple[bool, bool]:
        """Whether chroma has half the samples of luma, (down, across)."""
        return self.variant.chroma == "420", self.variant.chroma in ("420", "422")

    def take(self, name: str) -> str:
        """Declare an input plane and give it as float codes."""
        return self.builder.node("Cast", [self._declare_input(name)], to=_FLOAT)

    def clip(self, value: str) -> str:
        return self.builder.node("Clip", [value, self._low, self._high])

    def unfold(self, value: str, blocksize: int, *, output: str = "") -> str:
        """DepthToSpace; nothing for a blocksize of 1, unless the result must have a name."""
        if blocksize == 1:
            return self.builder.node("Identity", [value], output=output) if output else value
        return self.builder.node("DepthToSpace", [value], output=output, blocksize=blocksize, mode="CRD")

    def extend(self, value: str, before: Sequence[int], after: Sequence[int]) -> str:
        """Repeat the border, by so many px (rows, columns) at the start and at the end of each axis."""
        pads = self.builder.integers("pads", [0, 0, *before, 0, 0, *after])
        return self.builder.node("Pad", [value, pads], mode="edge")

    def resample(self, value: str, vertical: Siting, horizontal: Siting) -> str:
        """Enlarge a plane by the fixed kernel: [1, scale * scale, rows, columns], still to unfold, one half added."""
        if (vertical, horizontal) not in self._kernels:
            kernel = resampling_kernel(self.variant.scale, vertical, horizontal)
            half = np.full(len(kernel), 0.5, dtype=np.float32)
            names = self.builder.constant("kernel", kernel), self.builder.constant("half", half)
            self._kernels[vertical, horizontal] = names
        padded = self.extend(value, [RADIUS] * 2, [RADIUS] * 2)
        return self.builder.node("Conv", [padded, *self._kernels[vertical, horizontal]])

    def copy(self, name: str) -> None:
        """Give a plane as it is, for a scale of 1."""
        self.builder.node("Identity", [self._declare_input(name)], output=self._declare_output(name))

    def finish(self, plane: str, value: str, blocksize: int, *, has_its_size: bool = False) -> None:
        """Declare the output of a plane: `value`, one half already added, clipped, truncated, unfolded and cut to its
        size unless it has it."""
        output = self._declare_output(plane)
        cut = plane != "y" and any(self.halved) and not has_its_size
        name = self.builder.name(output) if cut else output
        value = self.clip(value)
        if self.variant.bit_depth == 8 and blocksize > 1:
            # Moving bytes is cheaper than moving floats; not every runtime moves 16-bit integers.
            self.unfold(self.builder.node("Cast", [value], to=self._element_type), blocksize, output=name)
        else:
            self.builder.node("Cast", [self.unfold(value, blocksize)], to=self._element_type, output=name)
        if cut:
            self._cut_chroma(name, output)

    def _declare_input(self, name: str) -> str:
        axis = "" if name == "y" else "chroma_"
        self.builder.declare_input(name, self._element_type, [1, 1, f"{axis}rows", f"{axis}columns"])
        return name

    def _declare_output(self, plane: str) -> str:
        output = f"{plane}_out"
        axis = "" if plane == "y" else "chroma_"
        self.builder.declare_output(output, self._element_type, [1, 1, f"{axis}out_rows", f"{axis}out_columns"])
        return output

    def _cut_chroma(self, value: str, output: str) -> None:
        """Leave off what lies beyond the edge of an odd luma plane: keep ceil(scale * luma / 2) on a halved axis."""
        if not self._chroma_size:
            halved = [2 if by else 1 for by in self.halved]
            size = self.builder.node("Shape", ["y"], start=2, end=4)
            size = self.builder.node("Mul", [size, self.builder.integers("scale", [self.variant.scale] * 2)])
            size = self.builder.node("Add", [size, self.builder.integers("rest", [by - 1 for by in halved])])
            self._chroma_size = self.builder.node("Div", [size, self.builder.integers("halved", halved)])
        starts, axes = self.builder.integers("starts", [0, 0]), self.builder.integers("axes", [2, 3])
        self.builder.node("Slice", [value, starts, self._chroma_size, axes], output=output)
