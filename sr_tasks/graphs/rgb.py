"""The ends of a graph around a network of R, G, B: planes to R'G'B' and back. Arithmetic of colour is in `color`.

Video keeps colour at half the size of luma. So the graph enlarges chroma, converts to R'G'B' for the network, converts
its answer back, and makes chroma small again. All of it happens inside the graph: no RGB frame exists outside.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sr_tasks.graphs.planes import PlaneGraph
from sr_tasks.planes.color import Coding
from sr_tasks.planes.resample import RADIUS, Decimation, chroma_siting, from_luma, to_luma_taps

_NO_FILTER: Final = Decimation(taps=np.ones(1), before=0, after=0)
_GRAY_MATRIX: Final = 1
"""Of what a network makes of gray, luma is taken by BT.709; as long as it stays gray any matrix gives the same."""


class RgbEnds:
    """Both ends of one variant. Mixing three planes is a few products and sums, which runtimes fuse: a convolution of
    1x1 costs ten times as much."""

    def __init__(self, planes: PlaneGraph) -> None:
        """Raises InputUnsupported for a matrix that no R'G'B' can be had from."""
        self._planes, self._builder = planes, planes.builder
        variant = planes.variant
        matrix = _GRAY_MATRIX if variant.chroma == "gray" else variant.colorspace
        self._coding = Coding.of(matrix, variant.color_range, variant.bit_depth)
        self._siting = chroma_siting(variant.chroma, variant.chroma_location)

    def take(self) -> str:
        """R'G'B' [1, 3, rows, columns]; 0..1, and what the codes say beyond, which a network is to see as well: cut
        off here, whiter than white would be lost for good."""
        if self._planes.variant.chroma == "gray":
            return self._builder.node("Concat", [self._luma()] * 3, axis=1)
        if self._planes.variant.chroma == "444":
            return self._take_full()
        luma = self._planes.take("y")
        contributions = self._contributions()
        factor, _ = self._coding.from_luma
        return self._builder.node("Add", [contributions, self._times(luma, factor)])

    def clip(self, value: str) -> str:
        """R'G'B' cut to what luma's codes can hold, as the first pass of two must not overshoot further."""
        low, high = self._coding.beyond(self._planes.peak)
        return self._builder.node("Clip", [value, self._builder.number("low", low), self._builder.number("high", high)])

    def finish(self, value: str) -> None:
        """Declare the output planes of R'G'B' [1, 3, scale * rows, scale * columns]."""
        red, green, blue = self._builder.split(value, 3)
        c = self._coding
        shares = [self._times(one, share) for one, share in ((red, c.red), (green, c.green), (blue, c.blue))]
        luma = self._plus(self._plus(shares[0], shares[1]), shares[2])
        codes = self._plus(self._times(luma, c.luma_span), self._number(c.luma_low + 0.5))
        self._planes.finish("y", codes, 1)
        if self._planes.variant.chroma == "gray":
            return
        differences = [self._builder.node("Sub", [one, luma]) for one in (blue, red)]
        if any(self._planes.halved):
            differences = self._lowered(differences)
        else:
            differences = [
                self._plus(self._times(one, factor), self._number(c.chroma_mid + 0.5))
                for one, factor in zip(differences, c.to_chroma, strict=True)
            ]
        for name, one in zip(("u", "v"), differences, strict=True):
            self._planes.finish(name, one, 1, has_its_size=True)

    def _luma(self) -> str:
        factor, offset = self._coding.from_luma
        return self._plus(self._times(self._planes.take("y"), factor), self._number(offset))

    def _take_full(self) -> str:
        luma = self._luma()
        mid = self._number(self._coding.chroma_mid)
        chroma = [self._builder.node("Sub", [self._planes.take(name), mid]) for name in ("u", "v")]
        channels = []
        for factors in self._coding.from_chroma:
            channel = luma
            for one, factor in zip(chroma, factors, strict=True):
                channel = self._plus(channel, self._times(one, factor)) if factor else channel
            channels.append(channel)
        return self._builder.node("Concat", channels, axis=1)

    def _contributions(self) -> str:
        """What chroma adds to each of R', G', B', and luma's offset, at luma's size.

        The middle is taken off before the convolution, so that gray stays gray whatever weights are rounded to.
        """
        # Cast first: not every runtime joins integers.
        both = self._builder.node("Concat", [self._planes.take(name) for name in ("u", "v")], axis=1)
        both = self._builder.node("Sub", [both, self._number(self._coding.chroma_mid)])
        (down, down_pads, stride), (across, _, _) = self._raising(0), self._raising(1)
        factors = np.array(self._coding.from_chroma)
        kernel = np.einsum("cu,pi,qj->cpquij", factors, down, across).reshape(12, 2, down.shape[1], across.shape[1])
        bias = np.full(12, self._coding.from_luma[1], dtype=np.float32)
        extended = self._planes.extend(both, (down_pads[0], RADIUS), (down_pads[1], RADIUS))
        weights = self._constant("to_luma", kernel), self._builder.constant("offset", bias)
        phases = self._builder.node("Conv", [extended, *weights], strides=[stride, 1])
        size = self._builder.node("Shape", ["y"], start=2, end=4)
        starts, which = self._builder.integers("starts", [0, 0]), self._builder.integers("axes", [2, 3])
        return self._builder.node("Slice", [self._planes.unfold(phases, 2), starts, size, which])

    def _raising(self, axis: int) -> tuple[NDArray[np.float64], tuple[int, int], int]:
        """Taps [2, n] of two neighbouring luma samples of an axis, the pads before and after, and the stride.

        An axis with as many samples of chroma as of luma is taken by twos, with a sample more for an odd number.
        """
        if self._planes.halved[axis]:
            return to_luma_taps(self._siting[axis]), (RADIUS, RADIUS), 1
        return np.eye(2), (0, 1), 2

    def _lowered(self, differences: list[str]) -> list[str]:
        """The codes of U and V, one half added, at chroma's size."""
        undoes = self._planes.variant.scale == 1
        down = from_luma(self._siting[0], undoes=undoes) if self._planes.halved[0] else _NO_FILTER
        across = from_luma(self._siting[1], undoes=undoes)
        value = self._builder.node("Concat", differences, axis=1)
        value = self._planes.extend(value, (down.before, across.before), (down.after, across.after))
        if down is not _NO_FILTER:
            kernel = np.stack([down.taps] * 2)[:, np.newaxis, :, np.newaxis]
            value = self._builder.node("Conv", [value, self._constant("down", kernel)], strides=[2, 1], group=2)
        kernel = np.outer(self._coding.to_chroma, across.taps)[:, np.newaxis, np.newaxis, :]
        middle = self._constant("middle", np.full(2, self._coding.chroma_mid + 0.5))
        value = self._builder.node("Conv", [value, self._constant("across", kernel), middle], strides=[1, 2], group=2)
        return self._builder.split(value, 2)

    def _constant(self, stem: str, array: NDArray[np.float64]) -> str:
        return self._builder.constant(stem, array.astype(np.float32))

    def _number(self, value: float) -> str:
        return self._builder.number("number", value)

    def _times(self, value: str, factor: float) -> str:
        return self._builder.node("Mul", [value, self._builder.number("factor", factor)])

    def _plus(self, value: str, other: str) -> str:
        return self._builder.node("Add", [value, other])
