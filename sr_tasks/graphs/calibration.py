"""What networks are fitted to when they are quantised: patches of the job's frames and generated ones. Runs nothing."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.graphs.pictures import Picture, drawn_picture, natural_picture

PATCHES: Final = 24
PATCH_PX: Final = 96

Patch = NDArray[np.float32]


def calibration_patches(
    pictures: Iterable[Patch], channels: int, size: tuple[int, int] = (PATCH_PX, PATCH_PX)
) -> list[Patch]:
    """What a network is quantised on: 24 patches float32 [1, channels, *size] in 0..1, in a fixed order.

    `pictures` are [channels or 1, rows, columns] in 0..1, of the job; up to half of the patches are cut from them where
    they have most detail. The others are generated, so that the ranges hold for frames that no sample showed.
    """
    given = list(islice(pictures, PATCHES // 2))
    each = PATCHES // 2 // len(given) if given else 0
    cut = [patch for picture in given for patch in _most_detailed(picture, each, size)]
    found = [np.broadcast_to(one, (channels, *one.shape[1:]))[np.newaxis].copy() for one in cut]
    return found + [_generated(seed, channels, size) for seed in range(PATCHES - len(found))]


def calibration_hash(patches: Sequence[Patch]) -> str:
    """Of their sizes and values; empty without any."""
    digest = hashlib.sha256()
    for patch in patches:
        digest.update(f"{patch.shape}".encode())
        digest.update(np.ascontiguousarray(patch, dtype=np.float32).tobytes())
    return digest.hexdigest() if patches else ""


def _generated(seed: int, channels: int, size: tuple[int, int]) -> Patch:
    """Harsh, soft and drawn pictures in turn: ranges that only soft ones were asked for would clip gravel and text."""
    planes = [_drawn_or_natural(seed, 0, size)]
    if channels > 1:
        # Colours differ from grey, and from one another, by less than lightness does.
        planes = [0.8 * planes[0] + 0.2 * _drawn_or_natural(seed, n, size) for n in range(1, channels + 1)]
    return np.stack(planes)[np.newaxis].astype(np.float32)


def _drawn_or_natural(seed: int, number: int, size: tuple[int, int]) -> Picture:
    if seed % 4 == 3:
        return drawn_picture(*size, seed=seed + number)
    return natural_picture(*size, seed=1000 * number + seed, softness=seed % 2)


def _most_detailed(picture: Patch, count: int, size: tuple[int, int]) -> Iterator[Patch]:
    """The `count` patches, of those beside one another, with most detail; none of a picture that is smaller."""
    rows, columns = size
    tops, lefts = (range(0, there - side + 1, side) for there, side in zip(picture.shape[1:], size, strict=True))
    patches = [picture[:, top : top + rows, left : left + columns] for top in tops for left in lefts]
    detail = [float(np.abs(np.diff(patch, axis=-1)).mean()) for patch in patches]
    yield from (patches[index] for index in sorted(np.argsort(detail, kind="stable")[::-1][:count]))
