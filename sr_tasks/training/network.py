"""The networks in torch: a plain stack of 3x3 convolutions correcting a bilinear base. Knows shapes, no data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

BODY_GAIN = 0.5
TAIL_GAIN = 0.01
LEVEL_HALF = 4.0
"""The level, in codes, that is told as one half; see `told`."""

LEVEL_TERMS = 3
"""Kernels of a network with a level: what it is at level 0, and the factors of the told level and of its square."""


@dataclass(frozen=True, kw_only=True)
class PlainConv:
    """A convolution as it is shipped: kernels [terms, outer, inner, 3, 3] and biases [terms, outer]."""

    kernels: Tensor
    biases: Tensor

    def at(self, powers: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Kernel and bias for the powers 1, t, t^2 of a told level."""
        if len(powers) == 1:
            return self.kernels[0], self.biases[0]
        factors = torch.tensor(powers, dtype=self.kernels.dtype)
        return torch.tensordot(factors, self.kernels, 1), factors @ self.biases


def told(level: float) -> float:
    """A level in 8-bit codes as the network is told it, 0 up to but not 1: small levels are told further apart."""
    return level / (level + LEVEL_HALF)


def bilinear_kernel(scale: int) -> Tensor:
    """[scale * scale, 1, 3, 3]: the pixels that bilinear interpolation makes of one, in PixelShuffle's order."""
    rows = []
    for phase in range(scale):
        shift = (phase + 0.5) / scale - 0.5
        rows.append(torch.tensor([max(-shift, 0.0), 1 - abs(shift), max(shift, 0.0)]))
    return torch.stack([torch.outer(y, x) for y in rows for x in rows]).unsqueeze(1)


def margin(layers: int) -> int:
    """How many source px around a px its answer depends on, to each side."""
    return layers + 2


def receptive_field(layers: int) -> int:
    """Side in source px that one output px depends on."""
    return 2 * margin(layers) + 1


class FoldedConv(nn.Module):
    """A 3x3 convolution, trained as a wide 3x3 one, a 1x1 one behind it and the kernel it starts from, all linear.

    They are folded into one kernel before every use, so that the detour costs next to nothing and leaves no trace
    in the exported network; it is there because gradient descent finds better kernels along it. With several `terms`
    there is one 1x1 convolution for each power of the told level.
    """

    start: Tensor

    def __init__(
        self, inner: int, outer: int, width: int, *, gain: float = 1.0, terms: int = 1, start: PlainConv | None = None
    ) -> None:
        super().__init__()
        self.expand = nn.Parameter(torch.empty(width, inner, 3, 3))
        self.project = nn.Parameter(torch.empty(terms * outer, width))
        self.bias = nn.Parameter(torch.zeros(terms * outer))
        nn.init.kaiming_normal_(self.expand, nonlinearity="linear")
        nn.init.normal_(self.project, std=gain * math.sqrt(2 / width))
        kernels = torch.zeros(terms, outer, inner, 3, 3)
        if start is not None:
            self.bias.data = start.biases.flatten().clone()
            kernels = start.kernels.clone()
        elif inner == outer:
            kernels[0, :, :, 1, 1] = torch.eye(inner)
        with torch.no_grad():
            # What is not known yet begins at nothing: the detour beside a start, the terms of the level.
            self.project[outer if start is None else 0 :] = 0
        self.register_buffer("start", kernels, persistent=False)

    def plain(self) -> PlainConv:
        """The convolution folded, float32 under autocast as well."""
        with torch.autocast(self.expand.device.type, enabled=False):
            wide = self.project @ self.expand.flatten(1)
            return PlainConv(kernels=wide.view_as(self.start) + self.start, biases=self.bias.view(self.start.shape[:2]))

    def forward(self, features: Tensor, powers: Sequence[float]) -> Tensor:
        kernel, bias = self.plain().at(powers)
        return functional.conv2d(features, kernel, bias)


class LumaNet(nn.Module):
    """Luma at `scale` times the size: conv 1 to `channels`, `layers` convs, conv to scale^2, the base added, shuffled.

    With a level every kernel and bias is a polynomial of the told level, so that for one level the network is a plain
    one and costs nothing more.
    """

    base_kernel: Tensor

    def __init__(
        self,
        channels: int,
        layers: int,
        width: int,
        *,
        scale: int = 2,
        has_level: bool = False,
        start: Sequence[PlainConv] | None = None,
    ) -> None:
        super().__init__()
        self.scale, self.has_level, self.margin = scale, has_level, margin(layers)
        sizes = [1, *[channels] * (layers + 1), scale * scale]
        gains = [1.0, *[BODY_GAIN] * layers, TAIL_GAIN]
        terms = LEVEL_TERMS if has_level else 1
        starts = _fitted(start, scale, terms) if start is not None else [None] * len(gains)
        pairs = list(zip(sizes[:-1], sizes[1:], gains, starts, strict=True))
        # The tail before the head, as the random numbers of a seed are drawn in the order of making.
        body = [FoldedConv(i, o, width, gain=g, terms=terms, start=s) for i, o, g, s in pairs[1:-1]]
        tail = FoldedConv(*pairs[-1][:2], width, gain=pairs[-1][2], terms=terms, start=pairs[-1][3])
        head = FoldedConv(*pairs[0][:2], width, gain=pairs[0][2], terms=terms, start=pairs[0][3])
        self.convolutions = nn.ModuleList([head, *body, tail])
        self.register_buffer("base_kernel", bilinear_kernel(scale), persistent=False)

    def plain(self) -> list[PlainConv]:
        """Every convolution, folded: the network that is shipped."""
        folded = [part.plain() for part in self.convolutions if isinstance(part, FoldedConv)]
        return [PlainConv(kernels=part.kernels.detach(), biases=part.biases.detach()) for part in folded]

    def powers(self, level: float) -> list[float]:
        """What the kernels are multiplied by at `level`, in 8-bit codes."""
        return [told(level) ** power for power in range(LEVEL_TERMS)] if self.has_level else [1.0]

    def interior(self, luma: Tensor, level: float = 0.0) -> Tensor:
        """[N, 1, H, W] in 0..1 to [N, 1, s(H-2m), s(W-2m)], m the margin: only what needs no padding; not clipped.

        The luma itself and the base stay float32 under autocast: bfloat16 would round them to whole 8-bit codes.
        """
        powers = self.powers(level)
        head, *body, tail = self.convolutions
        with torch.autocast(luma.device.type, enabled=False):
            features = functional.relu(head(luma, powers), inplace=True)
            cut = self.margin - 1
            inner = luma[:, :, cut : luma.shape[2] - cut, cut : luma.shape[3] - cut]
            base = functional.conv2d(inner, self.base_kernel)
        for convolution in body:
            features = functional.relu(convolution(features, powers), inplace=True)
        return functional.pixel_shuffle(tail(features, powers).float() + base, self.scale)

    def forward(self, luma: Tensor, level: float = 0.0) -> Tensor:
        """[N, 1, H, W] in 0..1 to [N, 1, sH, sW], not clipped; the border is extended by its own px."""
        return self.interior(functional.pad(luma, [self.margin] * 4, mode="replicate"), level)

    def parameter_count(self) -> int:
        """Of the network that is shipped."""
        return sum(part.kernels.numel() + part.biases.numel() for part in self.plain())


def _fitted(start: Sequence[PlainConv], scale: int, terms: int) -> list[PlainConv]:
    """The convolutions of another network as a start: further terms are zero, and the px of a lower scale's tail are
    repeated for a higher scale."""
    fitted = []
    for part in start:
        kernels = torch.zeros(terms, *part.kernels.shape[1:])
        biases = torch.zeros(terms, part.biases.shape[1])
        kernels[: len(part.kernels)], biases[: len(part.biases)] = part.kernels, part.biases
        fitted.append(PlainConv(kernels=kernels, biases=biases))
    tail = fitted[-1]
    scale_before = math.isqrt(tail.kernels.shape[1])
    if scale_before != scale:
        rows = torch.arange(scale) * scale_before // scale
        order = (rows[:, None] * scale_before + rows[None, :]).flatten()
        fitted[-1] = PlainConv(kernels=tail.kernels[:, order], biases=tail.biases[:, order])
    return fitted
