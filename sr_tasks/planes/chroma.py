"""Planes of chroma from one sampling to another. Floating point in and out: nothing is rounded on the way."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.formats import Sampling
from sr_tasks.planes.resample import chroma_siting, doubled, halved
from sr_tasks.records.media import Chroma

FACTORS: Final[dict[Sampling, tuple[int, int]]] = {
    "410": (4, 4), "411": (1, 4), "420": (2, 2), "422": (1, 2), "440": (2, 1), "444": (1, 1), "gray": (1, 1),
}  # fmt: skip
"""Luma rows and luma columns of one sample."""


def resampled(
    plane: NDArray[np.float32], sampling: Sampling, chroma: Chroma, shape: tuple[int, int], chroma_location: int = 0
) -> NDArray[np.float32]:
    """A plane of chroma of `sampling` as one of `chroma`, under luma of `shape` (rows, columns).

    `chroma_location` is AVChromaLocation, as in `chroma_siting`. Samples that stay keep their place and their value.
    """
    old, new = FACTORS[sampling], FACTORS[chroma]
    sitings = chroma_siting("420", chroma_location)
    for axis in (0, 1):
        factor = old[axis]
        while factor > new[axis]:
            plane = doubled(plane, axis, sitings[axis])
            factor //= 2
        while factor < new[axis]:
            plane = halved(plane, axis, sitings[axis])
            factor *= 2
    return plane[: -(-shape[0] // new[0]), : -(-shape[1] // new[1])]
