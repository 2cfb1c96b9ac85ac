"""What a training on photographs measures itself by: photographs it never sees, made small by every kernel."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from sr_tasks.planes.metrics import psnr_db
from sr_tasks.planes.scaling import Codes, cubic, to_codes
from sr_tasks.training.downscale import KINDS, downscale
from sr_tasks.training.evaluate import luma_psnr
from sr_tasks.training.network import LumaNet
from sr_tasks.training.recipe import DownScaling

SIGMA: Final = 0.8
"""Of the blur before kind `blurred` at x2, in px of the large picture."""


@dataclass(frozen=True, kw_only=True)
class _Case:
    kind: DownScaling
    small: Tensor
    truth: Tensor
    bicubic_psnr_db: float


class Validation:
    """Photographs and their small versions on a device."""

    def __init__(self, photos: dict[str, Codes], scale: int, device: str) -> None:
        self._scale = scale
        self._cases: list[_Case] = []
        for truth in photos.values():
            for kind in KINDS:
                small = to_codes(downscale(truth.astype(np.float64), kind, scale, sigma=SIGMA * scale / 2))
                baseline = cubic(small.astype(np.float64), *truth.shape)
                self._cases.append(
                    _Case(
                        kind=kind,
                        small=torch.from_numpy(small).to(device)[None, None].float() / 255,
                        truth=torch.from_numpy(truth.copy()).to(device).double(),
                        bicubic_psnr_db=luma_psnr(baseline, truth, crop=scale),
                    )
                )

    @torch.no_grad()
    def gains(self, net: LumaNet) -> dict[DownScaling, float]:
        """Mean Y-PSNR over bicubic in dB of each down-scaling, a border of `scale` px left out, as `evaluate` does."""
        gains: dict[DownScaling, list[float]] = {kind: [] for kind in KINDS}
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            for case in self._cases:
                codes = (net(case.small)[0, 0].double() * 255 + 0.5).floor().clamp(0, 255)
                inner = (slice(self._scale, -self._scale),) * 2
                error = (codes - case.truth)[inner].square().mean().item()
                gains[case.kind].append(psnr_db(max(error, 1e-12)) - case.bicubic_psnr_db)
        return {kind: float(np.mean(values)) for kind, values in gains.items()}
