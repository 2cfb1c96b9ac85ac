"""The frame loop: decode -> infer -> encode, overlapped in threads with bounded queues, planes in and planes out.

One thread decodes, several infer, and the caller's thread encodes. Frames may be inferred in any order; they are
written in the order in which they were decoded. The number of frames under way is bounded, so memory does not grow
with the length of a chunk. An error in any thread ends all of them and reaches the caller.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from av.video.frame import VideoFrame

from sr_tasks.inference.backend import Session
from sr_tasks.inference.priority import give_way
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.decoded import DecodedFrame
from sr_tasks.media.encode import ChunkWriter
from sr_tasks.planes.alpha import enlarged
from sr_tasks.planes.arrays import Planes
from sr_tasks.planes.frames import planes_of

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class LoopReport:
    """What one chunk took. `damaged_pts`: time stamps whose picture was repeated."""

    frames: int
    seconds: float
    damaged_pts: tuple[int, ...]


def upscale_chunk(
    reader: ChunkReader,
    session: Session,
    writer: ChunkWriter,
    *,
    streams: int,
    in_flight: int | None = None,
    on_frame: Callable[[int], None],
    finish: Callable[[Planes, int], None] | None = None,
) -> LoopReport:
    """Run a chunk through the network, in order. `on_frame` gets the number of frames written so far. `finish` may
    change the planes that come out, of the frame with that time stamp.

    One thread decodes, `streams` threads infer, the calling thread encodes. At most `in_flight` frames (None: three
    to a stream) are on their way from decoder to encoder; as many, but no more than four, wait for them decoded.
    The writer is finished on success and aborted on failure; errors of any thread reach the caller.
    """
    started = time.monotonic()
    done = 0

    def infer(item: DecodedFrame) -> tuple[VideoFrame, int, bytes]:
        frame = writer.new_frame()
        planes, results = planes_of(item.frame), planes_of(frame)
        session.infer((planes[:3],), results[:3])
        if finish is not None:
            finish(results[:3], item.pts)
        for alpha, result in zip(planes[3:], results[3:], strict=True):
            result[:] = enlarged(alpha, result.shape, item.frame.format.components[0].bits)
        return frame, item.pts, item.captions

    finished = False
    try:
        with ThreadPoolExecutor(streams, thread_name_prefix="infer", initializer=give_way) as pool:
            for result in _in_order(pool, infer, reader.frames(), window=in_flight or 3 * streams):
                writer.write(*result)
                done += 1
                on_frame(done)
        writer.close()
        finished = True
    finally:
        if not finished:
            writer.abort()
    return LoopReport(frames=done, seconds=time.monotonic() - started, damaged_pts=tuple(reader.damaged_pts))


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[DecodedFrame], Result],
    items: Iterator[DecodedFrame],
    *,
    window: int,
) -> Iterator[Result]:
    """Results in the order of the items, with at most `window` of them under way."""
    pending: deque[Future[Result]] = deque()
    with _Prefetch(items, depth=min(4, window)) as fetched:
        try:
            for item in fetched:
                pending.append(pool.submit(work, item))
                if len(pending) >= window:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


class _Prefetch(Iterator[Item]):
    """Runs an iterator in a thread of its own, `depth` items ahead. Its error is raised where the item was due."""

    def __init__(self, items: Iterator[Item], *, depth: int) -> None:
        self._items = items
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)

    def __enter__(self) -> "_Prefetch[Item]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(0.05)

    def __next__(self) -> Item:
        item, error = self._queue.get()
        if error is not None:
            raise error
        if item is None:
            raise StopIteration
        return item

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self._put(item, None)
                if self._stopped.is_set():
                    return
        except BaseException as exc:
            error = exc
        self._put(None, error)

    def _put(self, item: Item | None, error: BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._queue.put((item, error), timeout=0.2)
                return
            except queue.Full:
                continue

    def _drain(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()
