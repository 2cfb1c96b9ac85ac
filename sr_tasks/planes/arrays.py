"""Planes as NumPy arrays: their types, and the check that a frame has those that a model wants."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sr_tasks.errors import UsageError
from sr_tasks.records.layout import PlaneLayout, Shapes

Plane = NDArray[np.uint8] | NDArray[np.uint16]
"""One plane [rows, columns], uint8 for 8 bit and uint16 (low bits used) above; any strides."""

Planes = tuple[Plane, ...]
"""(y, u, v), or (y,) for gray; behind them alpha, where there is alpha."""

Window = Sequence[Planes]
"""The frames that a network sees at once, in the order of their time."""


def dtype_of(layout: PlaneLayout) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    """uint8 for 8 bit, uint16 above."""
    return np.dtype(np.uint8) if layout.bit_depth == 8 else np.dtype(np.uint16)


def only_frame(window: Window) -> Planes:
    """The frame of a window of one. Raises UsageError for a window of several, which no session takes so far."""
    if len(window) != 1:
        raise UsageError(
            f"The window holds {len(window)} frames, and the network sees one at a time.",
            hint="Give each frame in a window of its own.",
        )
    return window[0]


def check_planes(what: str, planes: Planes, shapes: Shapes, dtype: DTypeLike) -> None:
    """Raises UsageError unless the planes are just these."""
    found = tuple(plane.shape for plane in planes)
    types = {str(plane.dtype) for plane in planes}
    if found != shapes or types != {str(dtype)}:
        raise UsageError(
            f"The {what} planes are {found} of {', '.join(sorted(types))}, not {shapes} of {dtype}.",
            hint="Open a session for frames of this size and kind.",
        )
