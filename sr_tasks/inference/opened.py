"""Opens a prepared model for frames of any size: whole or in tiles, and in smaller ones if memory does not suffice."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

from loguru import logger

from sr_tasks.errors import SrError, UsageError
from sr_tasks.graphs.runtime import Backend, Planes, Session, Window
from sr_tasks.inference.priority import give_way
from sr_tasks.inference.tiled import TiledSession
from sr_tasks.inference.tiles import Grid, Layout, plan_grid
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.prepared import PreparedModel

_OUT_OF_MEMORY = re.compile(
    r"bad.?alloc|out of memory|outofmemory|failed to allocate|(cannot|could not|unable to) allocate|alloc_failed"
    r"|allocation (failed|of)|not enough memory",
    re.IGNORECASE,
)
"""In the words of OpenVINO, ONNX Runtime, CUDA, cuDNN, TensorRT and the C++ library."""


def open_session(
    backend: Backend, prepared: PreparedModel, card: ModelCard, width: int, height: int, *, streams: int, tile_px: int
) -> Session:
    """The model ready for frames of `width` x `height`, cut into tiles of about `tile_px` a side (0: left whole,
    unless the network needs it cut).

    Where memory runs out, when it is opened or later, tiles of half the side take over, and the frame is computed
    again. A network that can be tiled exactly gives the same bytes either way.
    Raises ModelRejected if the runtime does not take the file or the network cannot be cut.
    """
    return _FittingSession(backend, prepared, card, width, height, streams=streams, tile_px=tile_px)


class _FittingSession:
    """A `Session` that is opened again for smaller tiles when memory runs out."""

    def __init__(
        self,
        backend: Backend,
        prepared: PreparedModel,
        card: ModelCard,
        width: int,
        height: int,
        *,
        streams: int,
        tile_px: int,
    ) -> None:
        self._backend, self._prepared, self._streams = backend, prepared, streams
        self._layout = Layout.of(card, prepared.variant)
        self._width, self._height = width, height
        self.output_shapes = prepared.variant.output_shapes(width, height)
        self._pool = ThreadPoolExecutor(streams, thread_name_prefix="tile", initializer=give_way)
        self._lock = threading.Lock()
        self._is_closed = False
        self._grid = plan_grid(self._layout, width, height, tile_px)
        self._session = self._opened()

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """See `Session.infer`."""
        while True:
            if self._is_closed:
                raise UsageError("The session is closed.", hint="Open another one.")
            session = self._session
            try:
                return session.infer(window, out)
            except (MemoryError, SrError) as exc:
                self._make_room(session, exc)

    def close(self) -> None:
        """See `Session.close`."""
        self._is_closed = True
        self._session.close()
        self._pool.shutdown(wait=False)

    def _make_room(self, used: Session, exc: MemoryError | SrError) -> None:
        """Open smaller tiles, unless another caller has done so since. Raises `exc` again if that cannot help."""
        with self._lock:
            if self._session is not used:
                return
            if not is_out_of_memory(exc):
                raise exc
            used.close()
            self._shrink(exc)
            self._session = self._opened()

    def _opened(self) -> Session:
        while True:
            try:
                return self._open(self._grid)
            except (MemoryError, SrError) as exc:
                if not is_out_of_memory(exc):
                    raise
                self._shrink(exc)

    def _open(self, grid: Grid) -> Session:
        inner = self._backend.open(self._prepared, grid.columns.window, grid.rows.window, streams=self._streams)
        if grid.is_whole:
            return inner
        return TiledSession(self._prepared.variant, self._width, self._height, grid, inner, self._pool)

    def _shrink(self, exc: MemoryError | SrError) -> None:
        before = self._grid
        tile_px = max(before.columns.window, before.rows.window)
        while self._grid.columns.window * self._grid.rows.window >= before.columns.window * before.rows.window:
            tile_px //= 2
            if tile_px < self._layout.smallest_tile:
                raise exc
            self._grid = plan_grid(self._layout, self._width, self._height, tile_px)
        logger.warning(
            "memory does not suffice for windows of {}x{}; going on with {}x{}: {}",
            before.columns.window, before.rows.window, self._grid.columns.window, self._grid.rows.window, exc,
        )  # fmt: skip


def is_out_of_memory(exc: BaseException) -> bool:
    """Whether an error, or the one that caused it, says that memory could not be had."""
    if isinstance(exc, MemoryError) or _OUT_OF_MEMORY.search(str(exc)):
        return not isinstance(exc, UsageError)
    return exc.__cause__ is not None and is_out_of_memory(exc.__cause__)
