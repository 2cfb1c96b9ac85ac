"""What stands for a network in a rehearsal: cubic interpolation, which costs next to nothing."""

import hashlib
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from sr_tasks.inference.backend import Planes, Window
from sr_tasks.planes.resample import Siting, chroma_siting
from sr_tasks.records.media import VideoInfo

if TYPE_CHECKING:
    from hashlib import _Hash

_FLAGS: Final = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP


class Resampler:
    """A session that enlarges each plane to the size of the output's, its samples where they belong. Hashes what it is
    given."""

    def __init__(self, video: VideoInfo) -> None:
        self.seen = hashlib.sha256()
        self._chroma = chroma_siting(video.chroma, video.chroma_location)
        self._peak = 2**video.bit_depth - 1

    @property
    def output_shapes(self) -> tuple[tuple[int, int], ...]:
        return ()

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """Fill `out`, uint8 or uint16 [rows, columns], at least as large as the planes of the one frame in `window`."""
        (planes,) = window
        if out is None:
            raise ValueError("planes to write into are needed")
        note(self.seen, planes)
        down, across = (planes[0].shape[axis] / out[0].shape[axis] for axis in (0, 1))
        for place, (plane, target) in enumerate(zip(planes, out, strict=True)):
            vertical, horizontal = self._chroma if place else ("centred", "centred")
            matrix = np.array([[across, 0, _first(across, horizontal)], [0, down, _first(down, vertical)]])
            large = cv2.warpAffine(plane, matrix, target.shape[::-1], flags=_FLAGS, borderMode=cv2.BORDER_REPLICATE)
            np.minimum(large, self._peak, out=target, casting="unsafe")
        return out

    def close(self) -> None:
        """Nothing is held."""


def note(digest: "_Hash", planes: Planes) -> None:
    """Take planes into a digest."""
    for plane in planes:
        digest.update(np.ascontiguousarray(plane).data)


def _first(step: float, siting: Siting) -> float:
    """Where the first output sample lies, in source samples."""
    return 0.5 * step - 0.5 if siting == "centred" else 0.25 * step - 0.25
