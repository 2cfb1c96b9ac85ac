"""The fixed resampler: Keys' bicubic (a = -0.5), one convolution for each output phase. Numbers only, no graph."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sr_tasks.media.info import Chroma

Siting = Literal["centred", "co-sited"]
"""Where the samples of an axis lie: centred in the luma samples they stand for, or on the first of them."""

RADIUS = 2
"""Source samples to either side that an output sample may depend on."""

_KEYS_A = -0.5
_TOP_LEFT = 3
_CENTRE = 2


def keys(distance: float) -> float:
    """Keys' cubic convolution kernel at a distance in source samples."""
    x = abs(distance)
    if x < 1:
        return ((_KEYS_A + 2) * x - (_KEYS_A + 3)) * x * x + 1
    if x < 2:
        return _KEYS_A * (((x - 5) * x + 8) * x - 4)
    return 0.0


def chroma_siting(chroma: Chroma, chroma_location: int) -> tuple[Siting, Siting]:
    """Siting of the chroma samples, (vertical, horizontal). An axis that is not subsampled counts as centred.

    `chroma_location` is AVChromaLocation: 1 left, 2 centre, 3 top-left; any other is taken as left, as decoders do.
    """
    horizontal: Siting = "centred" if chroma == "444" or chroma_location == _CENTRE else "co-sited"
    vertical: Siting = "co-sited" if chroma == "420" and chroma_location == _TOP_LEFT else "centred"
    return vertical, horizontal


def phase_taps(scale: int, siting: Siting) -> NDArray[np.float64]:
    """Taps of each output phase, [scale, 2 * RADIUS + 1]: output sample `n * scale + p` is the product of row p with
    source samples n - RADIUS .. n + RADIUS. Every row sums to one."""
    first = (0.5 if siting == "centred" else 0.25) / scale - (0.5 if siting == "centred" else 0.25)
    taps = [[keys(first + phase / scale - tap) for tap in range(-RADIUS, RADIUS + 1)] for phase in range(scale)]
    return np.array(taps, dtype=np.float64)


def resampling_kernel(scale: int, vertical: Siting, horizontal: Siting) -> NDArray[np.float32]:
    """Convolution weights [scale * scale, 1, 5, 5], the phases in the order of DepthToSpace (row phase first)."""
    size = 2 * RADIUS + 1
    rows, columns = phase_taps(scale, vertical), phase_taps(scale, horizontal)
    both = rows[:, np.newaxis, :, np.newaxis] * columns[np.newaxis, :, np.newaxis, :]
    return both.reshape(scale * scale, 1, size, size).astype(np.float32)
