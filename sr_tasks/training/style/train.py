"""The training run of a stylisation: recipe in, weights, log, plot and ONNX file out; survives being killed. CPU."""

import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from loguru import logger
from torch import Tensor

from sr_tasks.errors import UsageError
from sr_tasks.storage.atomic import replacing
from sr_tasks.training.plot import Curve, write_plot
from sr_tasks.training.style.export import export_onnx
from sr_tasks.training.style.images import Pairs, draw_batch, load_or_draw_pairs
from sr_tasks.training.style.network import StyleNet
from sr_tasks.training.style.recipe import StyleRecipe, load_style_recipe
from sr_tasks.training.train import learning_rate

CHECKPOINT: Final = "checkpoint.pt"
LOG: Final = "training.csv"
PLOT: Final = "training.svg"
TITLE: Final = "RGB PSNR gain against the filter's answer, on held-out synthetic pictures, dB, by training step"
CURVES: Final = (Curve(column="gain_db", label="gain", colour="#1b6ca8"),)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One row of the log, of the averaged weights. `psnr_db`: RGB, of the answer against the filter's; `gain_db`: how
    much closer to it than the picture as it was."""

    step: int
    steps: int
    seconds: float
    loss: float
    psnr_db: float
    gain_db: float


@dataclass(kw_only=True)
class _Run:
    """What a checkpoint holds, besides the recipe's fingerprint."""

    net: StyleNet
    average: StyleNet
    optimiser: torch.optim.Adam
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    """Of the steps since the last measurement."""

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
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if state["fingerprint"] != fingerprint:
            raise UsageError(
                f"{path} belongs to recipe {state['fingerprint']}, not {fingerprint}.",
                hint="Train into another folder, or without --resume.",
            )
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.losses = int(state["step"]), float(state["seconds"]), list(state["losses"])


def run(recipe_path: Path, out_dir: Path, *, resume: bool = False) -> Path:
    """Train what `recipe_path` describes into `out_dir` and return the ONNX file written there.

    `out_dir` also gets training.csv, a plot of it, the painted pictures and, every so many steps, a checkpoint. With
    `resume` a checkpoint found there is gone on from; the weights come out as if nothing had happened. Raises
    InputNotFound or UsageError for a recipe that is missing, invalid or not the checkpoint's.
    """
    recipe = load_style_recipe(recipe_path)
    out_dir.mkdir(parents=True, exist_ok=True)
    state = _start(recipe)
    checkpoint = out_dir / CHECKPOINT
    if resume and checkpoint.is_file():
        state.load(checkpoint, recipe.fingerprint())
        logger.info("Going on from step {} of {}", state.step, recipe.optimisation.steps)
    pairs = load_or_draw_pairs(recipe, out_dir)
    _cut_log(out_dir / LOG, state.step)
    with _threads(recipe.optimisation.threads):
        _train(state, recipe, pairs, out_dir)
    write_plot(out_dir / LOG, out_dir / PLOT, curves=CURVES, title=TITLE)
    return export_onnx(state.average, out_dir / f"{recipe.name}.onnx")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _start(recipe: StyleRecipe) -> _Run:
    torch.manual_seed(recipe.seed)
    net, average = StyleNet(recipe.network), StyleNet(recipe.network)
    average.load_state_dict(net.state_dict())
    optimiser = torch.optim.Adam(net.parameters(), recipe.optimisation.learning_rate, betas=(0.9, 0.99))
    return _Run(net=net, average=average.requires_grad_(False), optimiser=optimiser)


def _train(state: _Run, recipe: StyleRecipe, pairs: Pairs, out_dir: Path) -> None:
    plan, started = recipe.optimisation, time.monotonic() - state.seconds
    while state.step < plan.last_step:
        state.losses.append(_one_step(state, recipe, pairs))
        state.seconds = time.monotonic() - started
        is_last = state.step == plan.last_step
        if state.step % plan.measure_every == 0 or is_last:
            progress = _measure(state, recipe, pairs)
            state.losses.clear()
            _write_rows(out_dir / LOG, "a", [asdict(progress)])
            logger.info(
                "Step {step} of {steps}: loss {loss:.5f}, {psnr_db:.2f} dB ({gain_db:+.2f}), {seconds:.0f} s",
                **asdict(progress),
            )
        if state.step % plan.checkpoint_every == 0 or is_last:
            state.save(out_dir / CHECKPOINT, recipe.fingerprint())


def _one_step(state: _Run, recipe: StyleRecipe, pairs: Pairs) -> float:
    plan = recipe.optimisation
    batch = draw_batch(pairs, recipe, state.step)
    source = torch.from_numpy(batch.source).to(memory_format=torch.channels_last)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(plan, state.step)
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16"):
        answer = state.net.interior(source)
    loss = style_loss(answer, torch.from_numpy(batch.painted), plan.charbonnier_epsilon, recipe.edge_weight)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    state.optimiser.step()
    decay = min(plan.ema_decay, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        for average, current in zip(state.average.parameters(), state.net.parameters(), strict=True):
            average.lerp_(current, 1 - decay)
    state.step += 1
    return loss.item()


def style_loss(answer: Tensor, painted: Tensor, epsilon: float, edge_weight: float) -> Tensor:
    """Charbonnier error of the px plus that of the steps from px to px, without which lines come out pale."""
    error = answer - painted
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    of_px, of_across, of_down = (torch.sqrt(part * part + epsilon**2).mean() for part in (error, across, down))
    return of_px + edge_weight * (of_across + of_down)


def _measure(state: _Run, recipe: StyleRecipe, pairs: Pairs) -> Progress:
    found = []
    for index in range(recipe.pool.images, len(pairs.source)):
        source, painted = (np.moveaxis(part[index], -1, 0).astype(np.float32) for part in (pairs.source, pairs.painted))
        with torch.no_grad():
            answer = state.average(torch.from_numpy(source / 255)[None])[0].clamp(0, 1).numpy() * 255
        found.append((_psnr(answer, painted), _psnr(source, painted)))
    reached, before = np.mean(found, axis=0)
    return Progress(
        step=state.step,
        steps=recipe.optimisation.steps,
        seconds=round(state.seconds, 1),
        loss=round(float(np.mean(state.losses)), 6),
        psnr_db=round(float(reached), 4),
        gain_db=round(float(reached - before), 4),
    )


def _psnr(first: Any, second: Any) -> float:
    mean_square = max(float(np.mean((first - second) ** 2, dtype=np.float64)), 1e-6)
    return float(10 * np.log10(255**2 / mean_square))


def _cut_log(path: Path, step: int) -> None:
    """Keep the rows up to `step`: later ones are measured again."""
    rows: list[dict[str, str]] = []
    if step and path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
    _write_rows(path, "w", rows)


def _write_rows(path: Path, mode: str, rows: list[dict[str, Any]]) -> None:
    with path.open(mode, newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [column.name for column in fields(Progress)], lineterminator="\n")
        if mode == "w":
            writer.writeheader()
        writer.writerows(rows)
