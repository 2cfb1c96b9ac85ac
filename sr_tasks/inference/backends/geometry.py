"""Sizes of the planes that go into and come out of a prepared model, and the check that a frame has them."""

import numpy as np
from numpy.typing import DTypeLike

from sr_tasks.errors import UsageError
from sr_tasks.models.prepared import GraphVariant
from sr_tasks.models.runtime import Planes

Shapes = tuple[tuple[int, int], ...]


def plane_names(variant: GraphVariant) -> tuple[str, ...]:
    return ("y",) if variant.chroma == "gray" else ("y", "u", "v")


def plane_dtype(variant: GraphVariant) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    return np.dtype(np.uint8) if variant.bit_depth == 8 else np.dtype(np.uint16)


def plane_shapes(variant: GraphVariant, width: int, height: int) -> Shapes:
    """(rows, columns) of each plane of a frame: halved chroma axes round up."""
    chroma_width = -(-width // 2) if variant.chroma in ("420", "422") else width
    chroma_height = -(-height // 2) if variant.chroma == "420" else height
    shapes = ((height, width), (chroma_height, chroma_width), (chroma_height, chroma_width))
    return shapes[: len(plane_names(variant))]


def output_plane_shapes(variant: GraphVariant, width: int, height: int) -> Shapes:
    return plane_shapes(variant, width * variant.scale, height * variant.scale)


def check_planes(what: str, planes: Planes, shapes: Shapes, dtype: DTypeLike) -> None:
    """Raises UsageError unless the planes are just these."""
    found = tuple(plane.shape for plane in planes)
    types = {str(plane.dtype) for plane in planes}
    if found != shapes or types != {str(dtype)}:
        raise UsageError(
            f"The {what} planes are {found} of {', '.join(sorted(types))}, not {shapes} of {dtype}.",
            hint="Open a session for frames of this size and kind.",
        )
