"""The training run: recipe in, weights, log and ONNX file out; survives being killed. CPU, one process."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from loguru import logger

from sr_tasks.errors import UsageError
from sr_tasks.planes.scaling import Codes, cubic
from sr_tasks.training.course import CHECKPOINT, LOG, PLOT, Course, cut_log, log_row, threads
from sr_tasks.training.downscale import KINDS
from sr_tasks.training.evaluate import luma_psnr
from sr_tasks.training.export import export_onnx, read_convolutions
from sr_tasks.training.network import LumaNet
from sr_tasks.training.plot import CURVES, RESTORING, write_plot
from sr_tasks.training.pool import Pool, draw_batch, load_or_draw_pool
from sr_tasks.training.recipe import Recipe, load_recipe


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One row of the log. Gains in dB of Y-PSNR over bicubic on held-out synthetic images, of the averaged weights."""

    step: int
    steps: int
    seconds: float
    loss: float
    gain_bicubic_db: float
    """At scale 1 what is lost of a source without noise and compression, which bicubic leaves as it is."""

    gain_area_db: float | None = None
    gain_aliased_db: float | None = None
    gain_blurred_db: float | None = None
    gain_degraded_db: float | None = None
    """On noisy and compressed versions, the level being told; only of a network with a level."""


def run(
    recipe_path: Path,
    out_dir: Path,
    *,
    resume: bool = False,
    photos: Path | None = None,
    seconds: float | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Path:
    """Train what `recipe_path` describes into `out_dir` and return the ONNX file written there.

    `out_dir` also gets training.csv, a plot of it, the drawn images and, every so many steps, a checkpoint. With
    `resume` a checkpoint found there is gone on from; the weights come out as if nothing had happened. `photos` is the
    folder of the photographs, for a recipe that names some. With `seconds` the schedule follows the clock instead of
    the steps, and ends then. `report` is called after every measurement. Raises InputNotFound or UsageError for a
    recipe that is missing, invalid or not the checkpoint's.
    """
    recipe = load_recipe(recipe_path)
    if recipe.photos is not None and photos is None:
        raise UsageError(f"The recipe {recipe.name} trains on photographs.", hint="Give their folder: --photos DIR.")
    out_dir.mkdir(parents=True, exist_ok=True)
    state = _start(recipe, recipe_path.parent)
    checkpoint = out_dir / CHECKPOINT
    if resume and checkpoint.is_file():
        state.load(checkpoint, recipe.fingerprint())
        logger.info("Going on from step {} of {}", state.step, recipe.optimisation.steps)
    pool = load_or_draw_pool(recipe, out_dir, photos)
    cut_log(out_dir / LOG, [column.name for column in fields(Progress)], state.step)
    with threads(recipe.optimisation.threads):
        _train(state, recipe, pool, out_dir, seconds, report)
    write_plot(out_dir / LOG, out_dir / PLOT, curves=RESTORING if recipe.scale == 1 else CURVES)
    return export_onnx(state.average, out_dir / f"{recipe.name}.onnx")


def _start(recipe: Recipe, folder: Path) -> Course[LumaNet]:
    shape = recipe.network
    start = read_convolutions(folder / recipe.start.file, recipe.start.sha256) if recipe.start else None

    def made() -> LumaNet:
        has_level = recipe.degradation is not None
        return LumaNet(shape.channels, shape.layers, shape.width, scale=recipe.scale, has_level=has_level, start=start)

    return Course.begin(made, recipe.seed, recipe.optimisation.learning_rate)


def _train(
    state: Course[LumaNet],
    recipe: Recipe,
    pool: Pool,
    out_dir: Path,
    seconds: float | None,
    report: Callable[[Progress], None] | None,
) -> None:
    plan, started = recipe.optimisation, time.monotonic() - state.seconds
    is_last = state.step >= plan.last_step if seconds is None else state.seconds >= seconds
    while not is_last:
        progress = None if seconds is None else min(1.0, state.seconds / seconds)
        state.losses.append(one_step(state, recipe, pool, progress))
        state.seconds = time.monotonic() - started
        is_last = state.step == plan.last_step if seconds is None else state.seconds >= seconds
        if state.step % plan.measure_every == 0 or is_last:
            measured = _measure(state, recipe, pool)
            state.losses.clear()
            log_row(out_dir / LOG, asdict(measured))
            logger.info(" ".join(f"{name} {value}" for name, value in asdict(measured).items() if value is not None))
            if report is not None:
                report(measured)
        if state.step % plan.checkpoint_every == 0 or is_last:
            state.save(out_dir / CHECKPOINT, recipe.fingerprint())
            export_onnx(state.average, out_dir / f"{recipe.name}.onnx")


def one_step(state: Course[LumaNet], recipe: Recipe, pool: Pool, progress: float | None) -> float:
    """Learn from one batch. Gives its loss."""
    plan = recipe.optimisation
    batch = draw_batch(pool, recipe, state.step, state.net.margin)
    luma = torch.from_numpy(batch.luma).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=plan.precision == "bf16"):
        answer = state.net.interior(luma, batch.level)
    error = answer - torch.from_numpy(batch.target)
    loss = torch.sqrt(error * error + plan.charbonnier_epsilon**2).mean()
    return state.descend(plan, loss, progress)


def _measure(state: Course[LumaNet], recipe: Recipe, pool: Pool) -> Progress:
    gains: dict[str, float] = {}
    for position, kind in enumerate(KINDS if recipe.scale > 1 else KINDS[:1]):
        differences = []
        for index in range(pool.trained, len(pool.large)):
            small = pool.small[index, position]
            truth = pool.large[index]
            differences.append(_gain(state.average, small, truth, 0.0))
        gains[f"gain_{kind}_db"] = round(float(np.mean(differences)), 4)
    if pool.degraded is not None and recipe.degradation is not None:
        variants = recipe.degradation.variants
        differences = [
            _gain(state.average, pool.degraded.small[i], pool.large[i // variants], float(pool.degraded.levels[i]))
            for i in range(pool.trained * variants, len(pool.degraded.levels))
        ]
        gains["gain_degraded_db"] = round(float(np.mean(differences)), 4)
    return Progress(
        step=state.step,
        steps=recipe.optimisation.steps,
        seconds=round(state.seconds, 1),
        loss=round(float(np.mean(state.losses)), 6),
        **gains,
    )


def _gain(net: LumaNet, small: Codes, truth: Codes, level: float) -> float:
    with torch.no_grad():
        answer = net(torch.from_numpy(small.astype(np.float32) / 255)[None, None], level)
    upscaled = answer[0, 0].double().numpy() * 255
    baseline = cubic(small.astype(np.float64), *truth.shape)
    return luma_psnr(upscaled, truth, crop=net.scale) - luma_psnr(baseline, truth, crop=net.scale)
