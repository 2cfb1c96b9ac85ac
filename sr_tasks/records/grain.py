"""Grain that is put into the frames behind the model: how strong it is by brightness, and how coarse."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

GrainWish = Literal["off", "keep", "light", "medium", "strong"]

BANDS: Final = 8
"""Luma is told apart in so many bands of equal width."""
_SIGMAS: Final[dict[GrainWish, float]] = {"off": 0.0, "light": 2.0, "medium": 4.0, "strong": 7.0}
_SHAPE: Final = (0.6, 0.9, 1.0, 1.0, 1.0, 0.9, 0.7, 0.5)
"""Film shows most grain in its middle tones."""
_SOFTNESS_PX: Final = 0.5


class Grain(BaseModel):
    """Standard deviations in 8-bit codes."""

    model_config = ConfigDict(frozen=True)

    luma: tuple[float, ...]
    """By band of luma, dark to bright."""
    chroma: tuple[float, ...] = ()
    """Of each chroma plane; empty for none."""
    softness_px: float = 0.0
    """Standard deviation of the blur that makes white noise as coarse as the grain, in px of the frames."""

    def enlarged(self, scale: float) -> "Grain":
        """The same grain in frames that are `scale` times as wide: each grain covers as much of the picture. One px of
        the source is a square of `scale` px, whose extent counts too."""
        softness = (scale**2 * self.softness_px**2 + max(0.0, scale**2 - 1.0) / 12.0) ** 0.5
        return self.model_copy(update={"softness_px": softness})

    def without(self, there: "Grain") -> "Grain":
        """What is to be added where the grain `there` is in the frames already."""
        return self.model_copy(
            update={"luma": _left(self.luma, there.luma), "chroma": _left(self.chroma, there.chroma)}
        )


def synthetic(wish: GrainWish) -> Grain:
    """Grain of a strength that is asked for, in px of the source: in luma alone."""
    return Grain(luma=tuple(_SIGMAS[wish] * part for part in _SHAPE), softness_px=_SOFTNESS_PX)


def _left(wanted: tuple[float, ...], there: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(max(0.0, one**2 - other**2) ** 0.5 for one, other in zip(wanted, there, strict=True))
