"""What a job is expected to take, said before its work begins, and what was learned from earlier jobs. Data alone."""

from pydantic import BaseModel, ConfigDict, RootModel


class Forecast(BaseModel):
    """Left by `validate`; the manifest holds it beside what came true."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Of work of all steps together, on a machine such as the one that says so."""
    size_bytes: int
    """Of the output."""
    cost: float | None = None
    """Device time at SR_DEVICE_HOUR_COST. None: there is no price."""
    basis: str
    """What it rests on, in words."""

    def __str__(self) -> str:
        said = f"about {self.seconds:.0f} s of work, {self.size_bytes / 1e6:.1f} MB"
        return f"{said}{f', cost {self.cost:.4f}' if self.cost is not None else ''} ({self.basis})"


class Samples(RootModel[tuple[tuple[float, float], ...]]):
    """What earlier jobs on this machine showed: amounts of work, and what they took."""
