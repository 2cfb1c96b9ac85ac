"""How far a source departs from what it was. Measured in the media room."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

CLEAN_LEVEL: Final = 1.0
"""Below it neither an eye nor a network that restores can make use of the difference."""

UNCERTAIN_LEVEL: Final = 0.5
TOLD_SHARE: Final = 0.6

DegradationKind = Literal["clean", "noise", "compression"]


class Degradation(BaseModel):
    """How far a source departs from what it was, as root mean square errors in 8-bit codes of luma."""

    model_config = ConfigDict(frozen=True)

    level: float = Field(ge=0)
    """Of everything: `noise` and `compression` added up as squares."""
    noise: float = Field(ge=0)
    compression: float = Field(ge=0)
    frames: int
    """How many frames were looked at."""

    @property
    def kind(self) -> DegradationKind:
        """`clean`, or what most of the error is."""
        if self.level < CLEAN_LEVEL:
            return "clean"
        return "noise" if self.noise > self.compression else "compression"

    @property
    def told(self) -> float:
        """What a model that knows levels is told: less than was measured. A level that is too high wipes detail away,
        and costs far more than one that is too low; both figures were found on pictures of texture."""
        return max(0.0, TOLD_SHARE * (self.level - UNCERTAIN_LEVEL))

    def at(self, level: float) -> "Degradation":
        """The same mix of errors, as strong as `level`."""
        if self.level == 0:
            return self.model_copy(update={"level": level, "compression": level})
        factor = level / self.level
        return self.model_copy(
            update={"level": level, "noise": self.noise * factor, "compression": self.compression * factor}
        )

    def __str__(self) -> str:
        return f"level {self.level:.1f} ({self.kind})"
