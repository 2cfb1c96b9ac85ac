"""The training run of a stylisation: recipe in, weights, log, plot and ONNX file out; survives being killed. CPU."""

import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from loguru import logger
from torch import Tensor

from sr_tasks.planes.metrics import psnr_db
from sr_tasks.training.course import CHECKPOINT, LOG, PLOT, Course, cut_log, log_row, threads
from sr_tasks.training.plot import Curve, write_plot
from sr_tasks.training.style.export import export_onnx
from sr_tasks.training.style.images import Pairs, draw_batch, load_or_draw_pairs
from sr_tasks.training.style.network import StyleNet
from sr_tasks.training.style.recipe import StyleRecipe, load_style_recipe

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
    cut_log(out_dir / LOG, [column.name for column in fields(Progress)], state.step)
    with threads(recipe.optimisation.threads):
        _train(state, recipe, pairs, out_dir)
    write_plot(out_dir / LOG, out_dir / PLOT, curves=CURVES, title=TITLE)
    return export_onnx(state.average, out_dir / f"{recipe.name}.onnx")


def _start(recipe: StyleRecipe) -> Course[StyleNet]:
    return Course.begin(lambda: StyleNet(recipe.network), recipe.seed, recipe.optimisation.learning_rate)


def _train(state: Course[StyleNet], recipe: StyleRecipe, pairs: Pairs, out_dir: Path) -> None:
    plan, started = recipe.optimisation, time.monotonic() - state.seconds
    while state.step < plan.last_step:
        state.losses.append(one_step(state, recipe, pairs))
        state.seconds = time.monotonic() - started
        is_last = state.step == plan.last_step
        if state.step % plan.measure_every == 0 or is_last:
            progress = _measure(state, recipe, pairs)
            state.losses.clear()
            log_row(out_dir / LOG, asdict(progress))
            logger.info(
                "Step {step} of {steps}: loss {loss:.5f}, {psnr_db:.2f} dB ({gain_db:+.2f}), {seconds:.0f} s",
                **asdict(progress),
            )
        if state.step % plan.checkpoint_every == 0 or is_last:
            state.save(out_dir / CHECKPOINT, recipe.fingerprint())


def one_step(state: Course[StyleNet], recipe: StyleRecipe, pairs: Pairs) -> float:
    """Learn from one batch. Gives its loss."""
    plan = recipe.optimisation
    batch = draw_batch(pairs, recipe, state.step)
    source = torch.from_numpy(batch.source).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16"):
        answer = state.net.interior(source)
    loss = style_loss(answer, torch.from_numpy(batch.painted), plan.charbonnier_epsilon, recipe.edge_weight)
    return state.descend(plan, loss)


def style_loss(answer: Tensor, painted: Tensor, epsilon: float, edge_weight: float) -> Tensor:
    """Charbonnier error of the px plus that of the steps from px to px, without which lines come out pale."""
    error = answer - painted
    across, down = error[..., 1:] - error[..., :-1], error[..., 1:, :] - error[..., :-1, :]
    of_px, of_across, of_down = (torch.sqrt(part * part + epsilon**2).mean() for part in (error, across, down))
    return of_px + edge_weight * (of_across + of_down)


def _measure(state: Course[StyleNet], recipe: StyleRecipe, pairs: Pairs) -> Progress:
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
    return psnr_db(max(float(np.mean((first - second) ** 2, dtype=np.float64)), 1e-6))
