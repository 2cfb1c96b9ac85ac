"""What a request says of restoration, and what is done for it: the level a network is told, or FFmpeg's filters."""

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from sr_tasks.records.degradation import Degradation

Strength = Literal["off", "light", "medium", "strong"]

_SHARES: Final[dict[Strength, float]] = {"off": 0.0, "light": 0.5, "medium": 0.75, "strong": 1.1}
"""Of the measured error, for what takes noise and compression away."""
_LEAST: Final[dict[Strength, float]] = {"off": 0.0, "light": 1.5, "medium": 2.0, "strong": 3.0}
"""Codes: who asks for it gets so much at least, however clean the source looks."""
_SIGMAS: Final[dict[Strength, float]] = {"light": 2.0, "medium": 3.0, "strong": 5.0}
_DEBLOCK: Final = {strength: f"fftdnoiz=sigma={sigma}:block=16:overlap=0.7" for strength, sigma in _SIGMAS.items()}
"""FFmpeg's deblock was tried too: it gains a third of this on JPEG, and loses on H.264."""
_THRESHOLDS: Final[dict[Strength, float]] = {"light": 0.01, "medium": 0.015, "strong": 0.02}
_AMOUNTS: Final[dict[Strength, float]] = {"light": 0.5, "medium": 1.0, "strong": 1.5}
_DEBAND: Final = {
    strength: "deband=" + ":".join([f"{n}thr={threshold}" for n in (1, 2, 3, 4)] + ["range=16", "blur=1"])
    for strength, threshold in _THRESHOLDS.items()
}
_SHARPEN: Final = {strength: f"unsharp=5:5:{amount}:5:5:0" for strength, amount in _AMOUNTS.items()}


class Restoration(BaseModel):
    """The wishes of a request."""

    model_config = ConfigDict(frozen=True)

    denoise: Strength = "off"
    deblock: Strength = "off"
    deband: Strength = "off"
    sharpen: Strength = "off"

    @property
    def removes_errors(self) -> bool:
        """Whether noise or compression is to go, which depends on how much of it there is."""
        return self.denoise != "off" or self.deblock != "off"

    @property
    def suits_network(self) -> bool:
        """A network comes last, so that it would be shown what was sharpened before: then filters do the work."""
        return self.removes_errors and self.sharpen == "off"

    def level(self, degradation: Degradation) -> float:
        """What a network is told, in 8-bit codes, of a source that departs so far."""
        noise = _wanted(self.denoise, degradation.noise)
        compression = _wanted(self.deblock, degradation.compression)
        return round(float((noise**2 + compression**2) ** 0.5), 3)

    def filters(self, degradation: Degradation | None, bit_depth: int, *, is_told: bool) -> str:
        """A chain of FFmpeg's filters, each for single frames, in the order that measures best. Empty: none is needed.

        `degradation` is needed only to denoise. `is_told`: a network is told the level, and takes noise and compression
        away itself.
        """
        return ",".join(self._filters(degradation, bit_depth, is_told=is_told))

    def _filters(self, degradation: Degradation | None, bit_depth: int, *, is_told: bool) -> Iterator[str]:
        if self.deblock != "off" and not is_told:
            yield _DEBLOCK[self.deblock]
        if self.denoise != "off" and not is_told:
            noise = 0.0 if degradation is None else degradation.noise
            yield _denoising(_wanted(self.denoise, noise), bit_depth)
        if self.deband != "off":
            yield _DEBAND[self.deband]
        if self.sharpen != "off":
            yield _SHARPEN[self.sharpen]


def _wanted(strength: Strength, measured: float) -> float:
    return max(_SHARES[strength] * measured, _LEAST[strength])


def _denoising(level: float, bit_depth: int) -> str:
    """Of `level` 8-bit codes. nlmeans knows 8 bit alone, where it is better."""
    if bit_depth == 8:
        return f"nlmeans=s={min(1.5 + 0.8 * level, 20.0):.2f}:p=5:r=9"
    return f"fftdnoiz=sigma={min(2.5 * level, 50.0):.2f}:block=16:overlap=0.7"
