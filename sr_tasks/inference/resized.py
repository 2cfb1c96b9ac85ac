"""A session whose output has another size than the network gives: the rest of the way is plain resampling."""

import numpy as np

from sr_tasks.graphs.runtime import Planes, Session, Window
from sr_tasks.planes.fitting import fit
from sr_tasks.planes.resample import chroma_siting
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.records.sizes import Size


def resized(session: Session, variant: GraphVariant, size: Size) -> Session:
    """The session itself if its planes have that size of luma, else one that resamples them."""
    shapes = variant.layout.shapes(*size)
    return session if session.output_shapes == shapes else _Resized(session, variant, shapes)


class _Resized:
    """A `Session` around another. A frame is resampled by the thread that inferred it."""

    def __init__(self, session: Session, variant: GraphVariant, shapes: tuple[tuple[int, int], ...]) -> None:
        self.output_shapes = shapes
        self._session = session
        self._peak = 2**variant.bit_depth - 1
        self._chroma = chroma_siting(variant.chroma, variant.chroma_location)
        rows, columns = session.output_shapes[0]
        self._steps = rows / shapes[0][0], columns / shapes[0][1]

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """See `Session.infer`."""
        large = self._session.infer(window)
        results = out or tuple(np.empty(shape, large[0].dtype) for shape in self.output_shapes)
        for place, (plane, result) in enumerate(zip(large, results, strict=True)):
            sitings = self._chroma if place else ("centred", "centred")
            fit(plane, result, self._steps, sitings, peak=self._peak)
        return results

    def close(self) -> None:
        """See `Session.close`."""
        self._session.close()
