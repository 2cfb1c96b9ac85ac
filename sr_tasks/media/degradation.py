"""Measuring, blind, how far a source departs from what it was before noise and compression. Reads frames and a small
table of weights; decides nothing."""

import functools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.media.spread import spread_frames
from sr_tasks.media.traces import traces
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.media import UNTOUCHED, PicturePlan, VideoInfo

FLOOR: Final = 0.1
"""Codes squared that the network adds to its answer, so that it has a logarithm."""
REACH: Final = 6.0
"""Standard deviations beyond which a trace counts as no stranger."""

_CROP_PX: Final = 192
_CROPS: Final = (2, 2)
"""Rows and columns of crops of a frame that is too large to be looked at whole."""
_SMALLEST_PX: Final = 64
_BLANK_STD: Final = 1.0
_BAR_RANGE: Final = 4.0
"""Rows and columns at the border whose codes span no more belong to a black bar, or to nothing worth a look."""

WEIGHTS: Final = Path(__file__).with_name("degradation.npz")
_Array = NDArray[np.float32]


def measure(path: Path, video: VideoInfo, picture: PicturePlan = UNTOUCHED) -> Degradation:
    """Of a local source, from a few frames spread over it. Raises InputInvalid if none of them can be decoded."""
    return measure_frames(spread_frames(path, video, picture))


def measure_frames(planes: Iterable[NDArray[np.generic]]) -> Degradation:
    """Of frames as luma [H, W] in 8-bit codes. Blank frames and black bars tell nothing and count for nothing."""
    squares, shares = [], []
    frames = 0
    for plane in planes:
        frames += 1
        inside = _without_bars(plane.astype(np.float32))
        if float(inside.std()) < _BLANK_STD:
            continue
        for crop in _crops(inside):
            square, share = answer(crop)
            squares.append(square)
            shares.append(share)
    if not squares:
        return Degradation(level=0.0, noise=0.0, compression=0.0, frames=frames)
    compression = float(np.mean(np.multiply(squares, shares)))
    total = float(np.mean(squares))
    return Degradation(
        level=round(math.sqrt(total), 3),
        noise=round(math.sqrt(max(0.0, total - compression)), 3),
        compression=round(math.sqrt(compression), 3),
        frames=frames,
    )


def answer(plane: _Array, weights: Path = WEIGHTS) -> tuple[float, float]:
    """Of luma [H, W] in 8-bit codes, both sides at least 48: the mean square error in codes squared, and the share of
    it that compression made, 0..1."""
    mean, spread, layers = _network(weights)
    values: _Array = np.clip((traces(plane) - mean) / spread, -REACH, REACH)
    for index, (weight, bias) in enumerate(layers):
        values = weight @ values + bias
        if index < len(layers) - 1:
            values = np.maximum(values, 0)
    square = math.exp(min(2 * float(values[0]), 12.0)) - FLOOR
    return max(0.0, square), 1 / (1 + math.exp(-max(-30.0, min(30.0, float(values[1])))))


def _without_bars(plane: _Array) -> _Array:
    rows, columns = (np.flatnonzero(np.ptp(plane, axis=axis) > _BAR_RANGE) for axis in (1, 0))
    if not len(rows) or not len(columns):
        return plane
    inside = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return inside if min(inside.shape) >= _SMALLEST_PX else plane


def _crops(plane: _Array) -> Iterator[_Array]:
    """Crops in a grid, the whole plane where one would cover it, a mirrored one where it is too small."""
    short = [max(0, _SMALLEST_PX - side) for side in plane.shape]
    if any(short):
        plane = np.pad(plane, [(0, lack) for lack in short], mode="symmetric").astype(np.float32)
    starts = []
    for side, most in zip(plane.shape, _CROPS, strict=True):
        count = min(most, -(-side // _CROP_PX))
        room = max(0, side - _CROP_PX)
        inset = room // (2 * count) if room > _CROP_PX else 0
        starts.append(np.linspace(inset, room - inset, count).astype(int))
    for top in starts[0]:
        for left in starts[1]:
            yield plane[top : top + _CROP_PX, left : left + _CROP_PX]


@functools.cache
def _network(weights: Path) -> tuple[_Array, _Array, tuple[tuple[_Array, _Array], ...]]:
    """Mean and spread of every trace, and weight and bias of every layer."""
    with np.load(weights, allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float32) for name in stored.files}
    numbers = sorted(name.removeprefix("weight") for name in arrays if name.startswith("weight"))
    layers = tuple((arrays[f"weight{number}"], arrays[f"bias{number}"]) for number in numbers)
    return arrays["mean"], arrays["spread"], layers
