"""The fixed resamplers: Keys' bicubic (a = -0.5), one convolution for each output phase, to enlarge planes and to bring
chroma to luma's size; and what brings chroma down again. Numbers only, no graph."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from sr_tasks.planes.scaling import keys
from sr_tasks.records.media import Chroma

Siting = Literal["centred", "co-sited"]
"""Where the samples of an axis lie: centred in the luma samples they stand for, or on the first of them."""

RADIUS = 2
"""Source samples to either side that an output sample may depend on."""

_LANCZOS_LOBES = 3
_TOP_LEFT = 3
_CENTRE = 2


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
    return _taps([first + phase / scale for phase in range(scale)])


def _taps(places: list[float]) -> NDArray[np.float64]:
    """Keys' kernel at the samples around each place, [places, 2 * RADIUS + 1]."""
    return keys(np.array(places)[:, None] - np.arange(-RADIUS, RADIUS + 1))


def resampling_kernel(scale: int, vertical: Siting, horizontal: Siting) -> NDArray[np.float32]:
    """Convolution weights [scale * scale, 1, 5, 5], the phases in the order of DepthToSpace (row phase first)."""
    size = 2 * RADIUS + 1
    rows, columns = phase_taps(scale, vertical), phase_taps(scale, horizontal)
    both = rows[:, np.newaxis, :, np.newaxis] * columns[np.newaxis, :, np.newaxis, :]
    return both.reshape(scale * scale, 1, size, size).astype(np.float32)


def to_luma_taps(siting: Siting) -> NDArray[np.float64]:
    """Taps that bring a halved axis of chroma to luma's samples, [2, 2 * RADIUS + 1]: luma sample `2 * n + p` is the
    product of row p with chroma samples n - RADIUS .. n + RADIUS."""
    first = 0.0 if siting == "co-sited" else -0.25
    return _taps([first + phase / 2 for phase in range(2)])


@dataclass(frozen=True, kw_only=True)
class Decimation:
    """Taps that bring an axis to half its samples: sample n is their product with samples 2 * n - before .. on."""

    taps: NDArray[np.float64]
    before: int
    after: int


def from_luma(siting: Siting, *, undoes: bool) -> Decimation:
    """The filter that gives chroma on every other sample of luma, or between every two of them; its taps sum to one.

    `undoes` asks for the one after which chroma is again what it was before `to_luma_taps`, for networks that do not
    enlarge; otherwise it is the one that keeps out most of what half the samples cannot hold (Lanczos, 3 lobes).
    """
    half = _UNDOING[siting] if undoes else _lanczos(siting)
    if siting == "co-sited":
        return Decimation(taps=np.concatenate([half[:0:-1], half]), before=len(half) - 1, after=len(half) - 1)
    return Decimation(taps=np.concatenate([half[::-1], half]), before=len(half) - 1, after=len(half))


_UNDOING: Final = {
    # Keys' kernel at a half is the interpolation of Deslauriers and Dubuc, and this the other low-pass filter of their
    # wavelet (13/7-T of JPEG 2000, part 2).
    "co-sited": np.array([348, 144, -63, -16, 18, 0, -1]) / 512,
    # At a quarter it has no exact inverse of finite length; of this one what comes back is off by 0.0001 of the range
    # at most. It minimises that, and what it lets through of the upper quarter of frequencies.
    "centred": np.array([18170, 1382, -4576, 294, 1643, -529]) / 32768,
}
"""From the middle outwards."""


def _lanczos(siting: Siting) -> NDArray[np.float64]:
    distances = np.arange(_LANCZOS_LOBES * 2) + (0.0 if siting == "co-sited" else 0.5)
    half = np.sinc(distances / 2) * np.sinc(distances / (2 * _LANCZOS_LOBES))
    return np.asarray(half / (2 * half.sum() - (half[0] if siting == "co-sited" else 0.0)))


def doubled(plane: NDArray[np.float32], axis: int, siting: Siting) -> NDArray[np.float32]:
    """Twice the samples along an axis, by `to_luma_taps`; the border is repeated."""
    taps = to_luma_taps(siting).astype(np.float32)
    lines = np.moveaxis(plane, axis, 0)
    padded = np.pad(lines, ((RADIUS, RADIUS), (0, 0)), mode="edge")
    result = np.empty((2 * lines.shape[0], lines.shape[1]), np.float32)
    for phase in range(2):
        result[phase::2] = sum(tap * padded[n : n + len(lines)] for n, tap in enumerate(taps[phase]) if tap)
    return np.moveaxis(result, 0, axis)


def halved(plane: NDArray[np.float32], axis: int, siting: Siting) -> NDArray[np.float32]:
    """Half the samples along an axis, rounded up, by `from_luma`; the border is repeated."""
    filter_ = from_luma(siting, undoes=False)
    lines = np.moveaxis(plane, axis, 0)
    count = -(-len(lines) // 2)
    padded = np.pad(lines, ((filter_.before, filter_.after + 1), (0, 0)), mode="edge")
    result = np.zeros((count, lines.shape[1]), np.float32)
    for n, tap in enumerate(filter_.taps):
        result += np.float32(tap) * padded[n : n + 2 * count : 2]
    return np.moveaxis(result, 0, axis)
