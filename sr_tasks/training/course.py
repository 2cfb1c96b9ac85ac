"""What every training run has in common: weights and their average, steps, checkpoints, the log. Knows no network."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor, nn

from sr_tasks.errors import UsageError
from sr_tasks.storage.atomic import replacing
from sr_tasks.training.recipe import OptimisationRecipe

CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "training.csv"
PLOT: Final = "training.svg"

Net = TypeVar("Net", bound=nn.Module)


@dataclass(kw_only=True)
class Course(Generic[Net]):
    """What a checkpoint holds, besides the recipe's fingerprint."""

    net: Net
    average: Net
    optimiser: torch.optim.Adam
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last measurement."""

    @classmethod
    def begin(cls, make: Callable[[], Net], seed: int, rate: float, device: str = "cpu") -> "Course[Net]":
        """A new one: `make` is called twice, and the average begins as the network does."""
        torch.manual_seed(seed)
        net, average = make(), make()
        average.load_state_dict(net.state_dict())
        net, average = net.to(device), average.to(device)
        if device == "cpu":
            optimiser = torch.optim.Adam(net.parameters(), rate, betas=(0.9, 0.99))
        else:  # The rate lies on the device, where a captured step reads it.
            on_device = torch.tensor(rate, device=device)
            optimiser = torch.optim.Adam(net.parameters(), on_device, betas=(0.9, 0.99), fused=True, capturable=True)
        return cls(net=net, average=average.requires_grad_(False), optimiser=optimiser)

    def descend(self, plan: OptimisationRecipe, loss: Tensor, progress: float | None = None) -> float:
        """One step down `loss`, and its value. `progress` 0..1: by default what part of the steps is done."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(plan, self.step, progress)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        decay = min(plan.ema_decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for average, current in zip(self.average.parameters(), self.net.parameters(), strict=True):
                average.lerp_(current, 1 - decay)
        self.step += 1
        return loss.item()

    def save(self, path: Path, fingerprint: str) -> None:
        state = {
            "fingerprint": fingerprint,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
        }
        with replacing(path) as draft:
            torch.save(state, draft)

    def load(self, path: Path, fingerprint: str) -> None:
        """Raises UsageError for a checkpoint of another recipe."""
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["fingerprint"] != fingerprint:
            raise UsageError(
                f"{path} belongs to recipe {state['fingerprint']}, not {fingerprint}.",
                hint="Train into another folder, or without --resume.",
            )
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._load_optimiser(state["optimiser"])
        self.step, self.seconds, self.losses = int(state["step"]), float(state["seconds"]), list(state["losses"])

    def _load_optimiser(self, state: dict[str, Any]) -> None:
        """A checkpoint of one device goes on upon another one: how this optimiser works stays as it is."""
        kept = [{key: group[key] for key in ("lr", "fused", "capturable")} for group in self.optimiser.param_groups]
        self.optimiser.load_state_dict(state)
        for group, own in zip(self.optimiser.param_groups, kept, strict=True):
            group.update(own)
            for weights in group["params"]:
                moments = self.optimiser.state[weights]
                moments["step"] = moments["step"].to(weights.device if own["capturable"] else "cpu")


def learning_rate(plan: OptimisationRecipe, step: int, progress: float | None = None) -> float:
    """The rate of step `step`, counted from 0, at `progress` 0..1: by default what part of the steps are done."""
    progress = step / plan.steps if progress is None else progress
    decay = plan.final_share + (1 - plan.final_share) * 0.5 * (1 + math.cos(math.pi * progress))
    return plan.learning_rate * min(1.0, (step + 1) / plan.warm_up_steps) * decay


@contextmanager
def threads(count: int) -> Iterator[None]:
    """torch computes with so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cut_log(path: Path, columns: Sequence[str], step: int) -> None:
    """Keep the rows up to `step`: later ones are measured again."""
    rows: list[dict[str, str]] = []
    if step and path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def log_row(path: Path, row: dict[str, Any]) -> None:
    """Append one row; its keys are the columns."""
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, list(row), lineterminator="\n").writerow(row)
