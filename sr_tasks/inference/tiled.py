"""A session for frames of any size over a session for windows of one size. Cuts and joins planes; knows no runtime.

A frame that does not fit into memory is cut into windows of one size, which overlap. Of a network that can be cut
exactly, only the part of an answer that the window's edge cannot have changed is kept, so the result has the same bytes
as the whole frame. Of other networks, neighbouring answers are blended where they overlap. Sums are whole numbers in a
fixed order: keep it so, or results depend on the number of threads.
"""

from concurrent.futures import FIRST_EXCEPTION, Executor, Future, wait
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sr_tasks.graphs.runtime import Plane, Planes, Session, Window
from sr_tasks.inference.tiles import Grid, Span
from sr_tasks.planes.arrays import check_planes, dtype_of, only_frame
from sr_tasks.records.prepared import GraphVariant

Result = TypeVar("Result")
Sums = NDArray[np.uint32]


class TiledSession:
    """A `Session` that feeds `inner`, opened for the grid's windows, tile by tile.

    Tiles are computed in the threads of `pool`, so that a single large frame keeps all streams busy. Without ramps what
    is kept is put side by side; with them neighbours are blended in whole numbers, in a fixed order, one row of tiles
    after the other, so the result does not depend on the number of threads either.
    """

    def __init__(
        self, variant: GraphVariant, width: int, height: int, grid: Grid, inner: Session, pool: Executor
    ) -> None:
        self._variant, self._grid, self._inner, self._pool = variant, grid, inner, pool
        self._dtype = dtype_of(variant.layout)
        # Of a weight along one axis: with two axes, sums of samples times weights just fit 32 bits.
        self._weight_bits = (32 - variant.bit_depth) // 2
        self._shapes = variant.layout.shapes(width, height)
        self._window = variant.layout.shapes(grid.columns.window, grid.rows.window)
        self.output_shapes = variant.output_shapes(width, height)
        self._halves = tuple(
            (2 if index and variant.chroma == "420" else 1, 2 if index and variant.chroma in ("420", "422") else 1)
            for index in range(len(self._shapes))
        )

    def infer(self, window: Window, out: Planes | None = None) -> Planes:
        """See `Session.infer`."""
        planes = only_frame(window)
        check_planes("source", planes, self._shapes, self._dtype)
        if out is None:
            out = tuple(np.empty(shape, self._dtype) for shape in self.output_shapes)
        else:
            check_planes("output", out, self.output_shapes, self._dtype)
        rows, columns = self._grid.rows.spans, self._grid.columns.spans
        if any(span.ramp_in for span in (*rows, *columns)):
            self._blend(planes, out)
        else:
            self._copy(planes, out)
        return out

    def close(self) -> None:
        """See `Session.close`."""
        self._inner.close()

    def _copy(self, planes: Planes, out: Planes) -> None:
        def work(row: Span, column: Span) -> None:
            answer = self._answer(planes, row, column)
            for index, (plane, target) in enumerate(zip(answer, out, strict=True)):
                kept, place = self._kept(index, row, column)
                np.copyto(target[place], plane[kept])

        spans = ((row, column) for row in self._grid.rows.spans for column in self._grid.columns.spans)
        _results([self._pool.submit(work, row, column) for row, column in spans])

    def _blend(self, planes: Planes, out: Planes) -> None:
        above: list[Sums] = [np.zeros((0, shape[1]), np.uint32) for shape in self.output_shapes]
        for row in self._grid.rows.spans:
            futures = [self._pool.submit(self._answer, planes, row, column) for column in self._grid.columns.spans]
            for index, total in enumerate(self._weighted(row, _results(futures))):
                total[: len(above[index])] += above[index]
                done, top = len(total) - self._length(index, 0, row.ramp_out), self._length(index, 0, row.first)
                rounded = total[:done] + np.uint32(1 << 2 * self._weight_bits - 1)
                out[index][top : top + done] = rounded >> np.uint32(2 * self._weight_bits)
                above[index] = total[done:].copy()

    def _weighted(self, row: Span, answers: list[Planes]) -> list[Sums]:
        """Of each plane, the sum of a row of answers times their weights, over all rows of samples that it keeps."""
        sums: list[Sums] = []
        for index, (_, width) in enumerate(self.output_shapes):
            total: Sums = np.zeros((0, width), np.uint32)
            for column, answer in zip(self._grid.columns.spans, answers, strict=True):
                kept, (down, across) = self._kept(index, row, column)
                if not len(total):
                    total = np.zeros((down.stop - down.start, width), np.uint32)
                weights = self._weights(index, row, column)[: len(total), : across.stop - across.start]
                total[:, across] += answer[index][kept] * weights
            sums.append(total)
        return sums

    def _answer(self, planes: Planes, row: Span, column: Span) -> Planes:
        return self._inner.infer((self._fed(planes, row, column),))

    def _fed(self, planes: Planes, row: Span, column: Span) -> Planes:
        """The window of each plane; where it reaches past the picture, the outermost samples are repeated."""
        windows: list[Plane] = []
        for plane, (down, across), shape in zip(planes, self._halves, self._window, strict=True):
            top, left = row.start // down, column.start // across
            window = plane[top : top + shape[0], left : left + shape[1]]
            windows.append(window if window.shape == shape else _extended(window, shape))
        return tuple(windows)

    def _kept(self, index: int, row: Span, column: Span) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where the part to keep of an answer's plane lies in the answer, and where in the output."""
        kept, place = [], []
        for axis, span in enumerate((row, column)):
            first, last = self._length(index, axis, span.first), self._length(index, axis, span.last)
            last = min(last, self.output_shapes[index][axis])
            origin = self._length(index, axis, span.start)
            kept.append(slice(first - origin, last - origin))
            place.append(slice(first, last))
        return (kept[0], kept[1]), (place[0], place[1])

    def _length(self, index: int, axis: int, source_px: int) -> int:
        """Samples of a plane of the output that stand for so many px of the source."""
        return -(-source_px * self._variant.scale // self._halves[index][axis])

    def _lengths(self, index: int, axis: int, span: Span) -> tuple[int, int, int]:
        """Samples that a window keeps, and those of its two ramps."""
        kept = self._length(index, axis, span.last) - self._length(index, axis, span.first)
        return kept, self._length(index, axis, span.ramp_in), self._length(index, axis, span.ramp_out)

    def _weights(self, index: int, row: Span, column: Span) -> Sums:
        down, across = (
            _ramped(self._lengths(index, axis, span), 1 << self._weight_bits) for axis, span in enumerate((row, column))
        )
        return down[:, np.newaxis] * across


def _extended(plane: Plane, shape: tuple[int, int]) -> Plane:
    result: Plane = np.empty(shape, plane.dtype)
    result[: plane.shape[0], : plane.shape[1]] = plane
    result[: plane.shape[0], plane.shape[1] :] = plane[:, -1:]
    result[plane.shape[0] :] = result[plane.shape[0] - 1]
    return result


def _ramped(lengths: tuple[int, int, int], one: int) -> Sums:
    """Weights of so many samples that go up over the second number of them and down over the third, as raised cosines.
    What one window gives up, its neighbour gets, to the unit, so what both agree on stays as it is."""
    whole, rise, fall = lengths
    weights = np.full(whole, one, np.uint32)
    weights[:rise] = _cosine(rise, one)
    weights[whole - fall :] = one - _cosine(fall, one)
    return weights


def _cosine(length: int, one: int) -> Sums:
    phase = (np.arange(length) + 0.5) / max(length, 1) * np.pi
    return np.rint((1 - np.cos(phase)) / 2 * one).astype(np.uint32)


def _results(futures: list[Future[Result]]) -> list[Result]:
    """All results. After a failure nothing new begins, and the error is raised once no tile is at work any more."""
    done, rest = wait(futures, return_when=FIRST_EXCEPTION)
    if any(future.exception() for future in done):
        for future in rest:
            future.cancel()
        wait(rest)
    return [future.result() for future in futures if not future.cancelled()]
