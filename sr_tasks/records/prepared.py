"""A model made ready for one kind of frame: the planes-to-planes ONNX file and what a backend must know of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sr_tasks.records.cards import ModelCard, Precision
from sr_tasks.records.colour import matrix_of, range_of
from sr_tasks.records.layout import PlaneLayout, Shapes
from sr_tasks.records.media import Chroma, VideoInfo

BackendName = Literal["openvino", "onnxruntime", "cuda", "tensorrt"]


@dataclass(frozen=True, kw_only=True)
class GraphVariant:
    """The kind of frame a graph is built for. Inputs and outputs are the decoder's own planes, `[1, 1, rows, columns]`
    named `y`, `u`, `v` and `y_out`, `u_out`, `v_out` (`y` alone for gray), uint8 for 8 bit and uint16 above."""

    scale: int
    chroma: Chroma
    bit_depth: int
    chroma_location: int
    """AVChromaLocation; 0 counts as 1 (left)."""
    colorspace: int = 0
    """AVColorSpace: the matrix between planes and RGB. 0 for a model of luma and for gray, which need none."""
    color_range: int = 0
    """AVColorRange: 1 limited, 2 full. 0 for a model of luma."""
    level: float = 0.0
    """What a model with a level is told of its source."""

    @property
    def layout(self) -> PlaneLayout:
        """Of the planes that go in; those that come out lie in the same way."""
        return PlaneLayout(chroma=self.chroma, bit_depth=self.bit_depth)

    def output_shapes(self, width: int, height: int) -> Shapes:
        """(rows, columns) of the planes that come out for luma of `width` x `height`."""
        return self.layout.shapes(width * self.scale, height * self.scale)

    @classmethod
    def of(cls, video: VideoInfo, scale: int, card: ModelCard, level: float = 0.0) -> "GraphVariant":
        """The variant that `card` needs for frames of `video`: what its graph does not depend on is left at 0, so
        that more jobs share it. `level` is rounded and limited as the card says."""
        is_rgb = card.color == "rgb"
        rounded = 0.0
        if card.level is not None:
            rounded = min(card.level.max, round(level / card.level.step) * card.level.step)
        return cls(
            scale=scale,
            chroma=video.chroma,
            bit_depth=video.bit_depth,
            chroma_location=video.chroma_location or 1,
            colorspace=matrix_of(video) if is_rgb and video.chroma != "gray" else 0,
            color_range=range_of(video) if is_rgb else 0,
            level=rounded,
        )


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A verified graph in the cache. The same file and precision give the same bytes on the same device."""

    name: str
    version: str
    weights_sha256: str
    variant: GraphVariant
    backend: BackendName
    precision: Precision
    onnx_path: Path
    key: str
    """Of the cache entry: hash of everything that went into it."""
    device: str
    """In words, e.g. the CPU's name."""
    proof: str = ""
    """How far it departs from the original, in words."""
    precision_reason: str = ""
    """Why the precisions that would have come first were not taken; empty where the first was."""
