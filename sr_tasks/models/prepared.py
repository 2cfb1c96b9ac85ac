"""A model made ready for one kind of frame: the planes-to-planes ONNX file and what a backend must know of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sr_tasks.media.info import Chroma, VideoInfo


@dataclass(frozen=True, kw_only=True)
class GraphVariant:
    """The kind of frame a graph is built for. Inputs and outputs are the decoder's own planes, `[1, 1, rows, columns]`
    named `y`, `u`, `v` and `y_out`, `u_out`, `v_out` (`y` alone for gray), uint8 for 8 bit and uint16 above."""

    scale: int
    chroma: Chroma
    bit_depth: int
    chroma_location: int
    """AVChromaLocation; 0 counts as 1 (left)."""

    @classmethod
    def of(cls, video: VideoInfo, scale: int) -> "GraphVariant":
        return cls(
            scale=scale, chroma=video.chroma, bit_depth=video.bit_depth, chroma_location=video.chroma_location or 1
        )


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A verified graph in the cache. The same file and precision give the same bytes on the same device."""

    name: str
    version: str
    weights_sha256: str
    variant: GraphVariant
    backend: Literal["openvino", "onnxruntime"]
    precision: Literal["fp32", "bf16"]
    onnx_path: Path
    key: str
    """Of the cache entry: hash of everything that went into it."""
    device: str
    """In words, e.g. the CPU's name."""
