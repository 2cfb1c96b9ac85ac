"""The session every backend gives: checks frames and hands each to an idle stream. Knows no runtime."""

import queue
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np

from sr_tasks.errors import UsageError
from sr_tasks.graphs.cache import note_use
from sr_tasks.graphs.runtime import Planes, Window
from sr_tasks.planes.arrays import check_planes, dtype_of, only_frame
from sr_tasks.records.prepared import PreparedModel


class Slot(Protocol):
    """One stream of a runtime; never entered by two callers at once."""

    def infer(self, planes: Planes, results: Planes) -> None:
        """Write the enlarged planes into `results`. Raises ChunkFailed if the runtime breaks off."""


class PooledSession:
    """A `Session` over one slot per stream."""

    def __init__(self, model: PreparedModel, width: int, height: int, slots: Sequence[Slot]) -> None:
        note_use(model)
        self._dtype = dtype_of(model.variant.layout)
        self._shapes = model.variant.layout.shapes(width, height)
        self.output_shapes = model.variant.output_shapes(width, height)
        self._idle: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._open = True
        for slot in slots:
            self._idle.put(slot)

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """See `Session.infer`."""
        if not self._open:
            raise UsageError("The session is closed.", hint="Open another one.")
        planes = only_frame(window)
        check_planes("source", planes, self._shapes, self._dtype)
        if out is None:
            out = tuple(np.empty(shape, self._dtype) for shape in self.output_shapes)
        else:
            check_planes("output", out, self.output_shapes, self._dtype)
        slot = self._idle.get()
        try:
            slot.infer(planes, out)
        finally:
            self._idle.put(slot)
        return out

    def close(self) -> None:
        """See `Session.close`."""
        self._open = False
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait()
