"""The compact network in torch: a plain stack of 3x3 convolutions correcting a bilinear base. Knows shapes, no data."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE = 2
BODY_GAIN = 0.5
TAIL_GAIN = 0.01


def bilinear_kernel() -> Tensor:
    """[4, 1, 3, 3]: the four pixels that bilinear interpolation makes of one, in PixelShuffle's order."""
    early, late = torch.tensor([0.25, 0.75, 0.0]), torch.tensor([0.0, 0.75, 0.25])
    return torch.stack([torch.outer(y, x) for y in (early, late) for x in (early, late)]).unsqueeze(1)


def margin(layers: int) -> int:
    """How many source px around a px its answer depends on, to each side."""
    return layers + 2


def receptive_field(layers: int) -> int:
    """Side in source px that one output px depends on."""
    return 2 * margin(layers) + 1


class FoldedConv(nn.Module):
    """A 3x3 convolution, trained as a wide 3x3 one, a 1x1 one behind it and the identity, all linear.

    The three are folded into one kernel before every use, so that the detour costs next to nothing and leaves no trace
    in the exported network; it is there because gradient descent finds better kernels along it.
    """

    identity: Tensor

    def __init__(self, inner: int, outer: int, width: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.expand = nn.Parameter(torch.empty(width, inner, 3, 3))
        self.project = nn.Parameter(torch.empty(outer, width))
        self.bias = nn.Parameter(torch.zeros(outer))
        nn.init.kaiming_normal_(self.expand, nonlinearity="linear")
        nn.init.normal_(self.project, std=gain * math.sqrt(2 / width))
        identity = torch.zeros(outer, inner, 3, 3)
        if inner == outer:
            identity[:, :, 1, 1] = torch.eye(inner)
        self.register_buffer("identity", identity, persistent=False)

    def kernel(self) -> Tensor:
        """[outer, inner, 3, 3], float32 under autocast as well."""
        with torch.autocast(self.expand.device.type, enabled=False):
            wide = self.project @ self.expand.flatten(1)
            return wide.view_as(self.identity) + self.identity

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, self.kernel(), self.bias)


class CompactNet(nn.Module):
    """Luma at twice the size: conv 1 to `channels`, `layers` convs, conv to 4, added to the base, pixels shuffled."""

    base_kernel: Tensor

    def __init__(self, channels: int, layers: int, width: int) -> None:
        super().__init__()
        body = [FoldedConv(channels, channels, width, gain=BODY_GAIN) for _ in range(layers)]
        tail = FoldedConv(channels, SCALE * SCALE, width, gain=TAIL_GAIN)
        self.convolutions = nn.ModuleList([FoldedConv(1, channels, width), *body, tail])
        self.margin = margin(layers)
        self.register_buffer("base_kernel", bilinear_kernel(), persistent=False)

    def plain(self) -> list[tuple[Tensor, Tensor]]:
        """Kernel and bias of every convolution, folded: the network that is shipped."""
        folded = [part for part in self.convolutions if isinstance(part, FoldedConv)]
        return [(part.kernel().detach(), part.bias.detach()) for part in folded]

    def interior(self, luma: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1 to [N, 1, 2(H-2m), 2(W-2m)], m the margin: only what needs no padding; not clipped.

        The luma itself and the base stay float32 under autocast: bfloat16 would round them to whole 8-bit codes.
        """
        head, *body, tail = self.convolutions
        with torch.autocast(luma.device.type, enabled=False):
            features = functional.relu(head(luma), inplace=True)
            cut = self.margin - 1
            inner = luma[:, :, cut : luma.shape[2] - cut, cut : luma.shape[3] - cut]
            base = functional.conv2d(inner, self.base_kernel)
        for convolution in body:
            features = functional.relu(convolution(features), inplace=True)
        return functional.pixel_shuffle(tail(features).float() + base, SCALE)

    def forward(self, luma: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1 to [N, 1, 2H, 2W], not clipped; the border is extended by its own px."""
        return self.interior(functional.pad(luma, [self.margin] * 4, mode="replicate"))

    def parameter_count(self) -> int:
        """Of the network that is shipped."""
        return sum(kernel.numel() + bias.numel() for kernel, bias in self.plain())
