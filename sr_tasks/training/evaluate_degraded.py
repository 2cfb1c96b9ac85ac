"""Measuring a luma network on degraded photographs: its gain over bicubic at each kind and strength of degradation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sr_tasks.planes.scaling import Codes, cubic, to_codes
from sr_tasks.training.degrade import h264, jpeg, level_of
from sr_tasks.training.downscale import Plane, downscale
from sr_tasks.training.evaluate import Upscaler, luma_psnr

FRAMES: Final = 3
PAN_PX: Final = 2
"""Before H.264 a photograph becomes a clip of `FRAMES` frames that pans by so many px a frame; the last is measured."""


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """One thing that happens to sources, e.g. `crf 26`."""

    kind: str
    strength: float
    apply: Callable[[Codes], Codes]

    @property
    def label(self) -> str:
        return f"{self.kind} {self.strength:g}"


@dataclass(frozen=True, kw_only=True)
class DegradedRow:
    """One photograph under one degradation. PSNR in dB on 8-bit luma, a border of `scale` px left out."""

    photograph: str
    degradation: str
    level: float
    psnr_db: float
    bicubic_psnr_db: float

    @property
    def gain_db(self) -> float:
        return self.psnr_db - self.bicubic_psnr_db


def degradations_to_test() -> list[Degradation]:
    """H.264 from crf 18 to 36, JPEG from quality 30 to 90, Gaussian noise of sigma 1 to 10, and none."""
    return [
        Degradation(kind="clean", strength=0, apply=lambda small: small),
        *(Degradation(kind="crf", strength=crf, apply=_through_h264(crf)) for crf in (18, 22, 26, 32, 36)),
        *(Degradation(kind="jpeg", strength=q, apply=_through_jpeg(q)) for q in (90, 75, 50, 30)),
        *(Degradation(kind="noise", strength=sigma, apply=_with_noise(sigma)) for sigma in (1, 3, 6, 10)),
    ]


def evaluate_degraded(
    upscaler: Callable[[float], Upscaler],
    truths: dict[str, Codes],
    degradations: Sequence[Degradation],
    *,
    scale: int = 2,
    level: Callable[[Codes, Codes], float] = level_of,
) -> list[DegradedRow]:
    """One row per degradation and photograph. The small picture is antialiased bicubic; `upscaler` gives the network
    for a level, and `level` says what is told of a degraded and its clean small picture: the truth by default."""
    rows = []
    for degradation in degradations:
        for name, truth in truths.items():
            clean = _even(to_codes(downscale(truth.astype(np.float64), "bicubic", scale)))
            wanted = truth[: scale * clean.shape[0], : scale * clean.shape[1]]
            small = degradation.apply(clean)
            told = level(small, clean)
            upscaled: Plane = upscaler(told)((small / 255).astype(np.float32)).astype(np.float64) * 255
            rows.append(
                DegradedRow(
                    photograph=name,
                    degradation=degradation.label,
                    level=told,
                    psnr_db=luma_psnr(upscaled, wanted, crop=scale),
                    bicubic_psnr_db=luma_psnr(cubic(small.astype(np.float64), *wanted.shape), wanted, crop=scale),
                )
            )
    return rows


def mean_gains(rows: Sequence[DegradedRow]) -> dict[str, float]:
    """Mean gain over bicubic in dB by degradation, in the order of the rows."""
    labels = list(dict.fromkeys(row.degradation for row in rows))
    return {label: float(np.mean([row.gain_db for row in rows if row.degradation == label])) for label in labels}


def _even(plane: Codes) -> Codes:
    return plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]


def _through_h264(crf: int) -> Callable[[Codes], Codes]:
    def apply(small: Codes) -> Codes:
        pans = range(PAN_PX * (FRAMES - 1), -1, -PAN_PX)
        return h264([np.roll(small, pan, axis=1) for pan in pans], crf)[-1]

    return apply


def _through_jpeg(quality: int) -> Callable[[Codes], Codes]:
    return lambda small: jpeg(small, quality)


def _with_noise(sigma: float) -> Callable[[Codes], Codes]:
    def apply(small: Codes) -> Codes:
        noise = np.random.default_rng(int(sigma * 10)).normal(0.0, sigma, small.shape)
        return to_codes(small + noise)

    return apply
