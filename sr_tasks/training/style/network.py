"""The style network in torch: a stack of 3x3 convolutions that corrects the picture it is given. Knows no data."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from sr_tasks.training.style.recipe import StyleNetworkRecipe

CHANNELS = 3
TAIL_GAIN = 0.1


class StyleNet(nn.Module):
    """R, G, B of the same size: conv 3 to `channels`, one conv per dilation, conv to 3, added to the picture."""

    def __init__(self, shape: StyleNetworkRecipe) -> None:
        super().__init__()
        self.margin = shape.margin
        convolutions = [_convolution(CHANNELS, shape.channels, 1)]
        convolutions += [_convolution(shape.channels, shape.channels, dilation) for dilation in shape.dilations]
        self.convolutions = nn.ModuleList([*convolutions, _convolution(shape.channels, CHANNELS, 1)])
        with torch.no_grad():
            self.plain()[-1].weight.mul_(TAIL_GAIN)

    def plain(self) -> list[nn.Conv2d]:
        """The convolutions in order."""
        return [part for part in self.convolutions if isinstance(part, nn.Conv2d)]

    def interior(self, picture: Tensor) -> Tensor:
        """[N, 3, H, W] in 0..1 to [N, 3, H-2m, W-2m], m the margin: only what needs no padding; not clipped.

        The picture itself stays float32 under autocast: bfloat16 would round it to whole 8-bit codes.
        """
        cut = self.margin
        base = picture[:, :, cut : picture.shape[2] - cut, cut : picture.shape[3] - cut]
        head, *body, tail = self.plain()
        with torch.autocast(picture.device.type, enabled=False):
            features = functional.relu(head(picture), inplace=True)
        for convolution in body:
            features = functional.relu(convolution(features), inplace=True)
        answer: Tensor = base + tail(features).float()
        return answer

    def forward(self, picture: Tensor) -> Tensor:
        """[N, 3, H, W] in 0..1 to the same shape, not clipped; the border is extended by its own px."""
        return self.interior(functional.pad(picture, [self.margin] * 4, mode="replicate"))

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def _convolution(inner: int, outer: int, dilation: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inner, outer, 3, dilation=dilation)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias if convolution.bias is not None else torch.zeros(1))
    return convolution
