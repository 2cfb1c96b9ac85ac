"""Trainings on photographs, one or several side by side on one device; each survives being killed."""

import copy
import math
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from loguru import logger

from sr_tasks.errors import UsageError
from sr_tasks.training.course import CHECKPOINT, LOG, PLOT, Course, cut_log, log_row, threads
from sr_tasks.training.drawn import drawn_images
from sr_tasks.training.export import export_onnx, read_convolutions
from sr_tasks.training.network import LumaNet
from sr_tasks.training.photos import training_photos, validation_photos
from sr_tasks.training.plot import write_plot
from sr_tasks.training.recipe import PhotosRecipe, Recipe, load_recipe
from sr_tasks.training.stepper import Stepper
from sr_tasks.training.stock import Stock, stocked
from sr_tasks.training.validation import Validation

COLUMNS: Final = (
    "step", "steps", "seconds", "loss", "gain_bicubic_db", "gain_area_db", "gain_aliased_db", "gain_blurred_db"
)  # fmt: skip
PLOT_TITLE: Final = "Y-PSNR gain over bicubic on photographs that are not trained on, dB, by training step"
AHEAD: Final = 4
"""Steps of one training that may wait on a GPU."""

SIZED_BY_STEPS: Final = 20
"""After how many steps of each it is known what a step of it costs."""


@dataclass(kw_only=True)
class _Run:
    recipe: Recipe
    folder: Path
    stepper: Stepper
    validation: Validation
    step_s: float = 1.0
    turn: float = 0.0
    """Whoever has the smallest one is next."""

    measured_at: float = 0.0
    waiting: deque[torch.cuda.Event] = field(default_factory=deque)

    @property
    def course(self) -> Course[LumaNet]:
        return self.stepper.course


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a training is run, whatever its recipe."""

    photos: Path
    device: str = "cpu"
    resume: bool = False
    seconds: float | None = None
    """The schedule follows the clock instead of the steps, and ends then."""

    measure_s: float = 90.0
    """With `seconds`: between two measurements of a training."""


def run_all(
    recipe_paths: Sequence[Path], out_dir: Path, options: Options, *, saved: Callable[[Path], None] | None = None
) -> list[Path]:
    """Train recipes that have `photos` into `out_dir`, a folder for each if there are several; return the ONNX files.

    Several take turns. The time that each one gets grows with the square root of what its step costs: large networks
    get more of it, small ones more steps. `saved` is called with a folder after every measurement. Raises
    InputNotFound, InputInvalid or UsageError for recipes or photographs that are missing, invalid or others.
    """
    if options.device != "cpu" and not torch.cuda.is_available():
        raise UsageError(f"There is no device {options.device} here.", hint="Train with --device cpu.")
    recipes = [load_recipe(path) for path in recipe_paths]
    shared = _Shared(options, out_dir)
    runs = []
    for path, recipe in zip(recipe_paths, recipes, strict=True):
        folder = out_dir if len(recipes) == 1 else out_dir / recipe.name
        runs.append(_started(recipe, path.parent, folder, shared))
    with threads(max(recipe.optimisation.threads for recipe in recipes)):
        _train(runs, options, saved)
    return [export_onnx(_on_cpu(one), one.folder / f"{one.recipe.name}.onnx") for one in runs]


class _Shared:
    """What recipes of the same data have in common."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options, self._folder = options, folder
        self._stocks: dict[str, Stock] = {}
        self._validations: dict[str, Validation] = {}

    def stock(self, recipe: Recipe) -> Stock:
        key = f"{recipe.pool_fingerprint()}:{recipe.degradation_fingerprint()}:{recipe.photos}"
        if key not in self._stocks:
            drawn = drawn_images(recipe, self._folder, len(os.sched_getaffinity(0)))[: recipe.pool.images]
            photos = training_photos(photos_of(recipe), self.options.photos, self._folder)
            self._stocks[key] = stocked(recipe, photos, drawn, self.options.device)
        return self._stocks[key]

    def validation(self, recipe: Recipe) -> Validation:
        key = f"{recipe.scale}:{recipe.photos}"
        if key not in self._validations:
            photos = photos_of(recipe)
            chosen = validation_photos(photos, self.options.photos, photos.validation)
            self._validations[key] = Validation(chosen, recipe.scale, self.options.device)
        return self._validations[key]


def _started(recipe: Recipe, beside: Path, folder: Path, shared: _Shared) -> _Run:
    folder.mkdir(parents=True, exist_ok=True)
    options, shape, plan = shared.options, recipe.network, recipe.optimisation
    start = read_convolutions(beside / recipe.start.file, recipe.start.sha256) if recipe.start else None
    stock, validation = shared.stock(recipe), shared.validation(recipe)
    course = Course.begin(
        lambda: LumaNet(shape.channels, shape.layers, shape.width, scale=recipe.scale, start=start),
        recipe.seed, plan.learning_rate, options.device,
    )  # fmt: skip
    checkpoint = folder / CHECKPOINT
    if options.resume and checkpoint.is_file():
        course.load(checkpoint, recipe.fingerprint())
        logger.info("{} goes on from step {}", recipe.name, course.step)
    cut_log(folder / LOG, COLUMNS, course.step)
    stepper = Stepper(course, recipe, stock, options.device)
    if options.device != "cpu":
        stepper.capture()
    logger.info("{} begins: {} parameters", recipe.name, course.net.parameter_count())
    return _Run(recipe=recipe, folder=folder, stepper=stepper, validation=validation)


def photos_of(recipe: Recipe) -> PhotosRecipe:
    """Raises UsageError for a recipe without photographs, and for one with degradation."""
    if recipe.degradation is not None:
        raise UsageError(
            f"The recipe {recipe.name} has degradation and does not train beside others or on a GPU.",
            hint="Train it alone, with --device cpu.",
        )
    if recipe.photos is None:
        raise UsageError(f"The recipe {recipe.name} names no photographs.", hint="Train it alone.")
    return recipe.photos


def _train(runs: Sequence[_Run], options: Options, saved: Callable[[Path], None] | None) -> None:
    before = max((one.course.seconds for one in runs), default=0.0)
    started = time.monotonic() - before
    _size(runs, options, started)
    active = list(runs)
    while active:
        one = min(active, key=lambda run: run.turn)
        progress = _progress(one, options, time.monotonic() - started)
        if progress < 1:
            _step(one, progress)
            one.turn += math.sqrt(one.step_s)
        one.course.seconds = time.monotonic() - started
        is_done = _progress(one, options, one.course.seconds) >= 1
        if is_done:
            active.remove(one)
        if is_done or _is_due(one, options):
            _measure(one, saved)
            one.measured_at = time.monotonic() - started


def _progress(one: _Run, options: Options, seconds: float) -> float:
    if options.seconds is not None:
        return min(1.0, seconds / options.seconds)
    plan = one.recipe.optimisation
    return 1.0 if one.course.step >= plan.last_step else one.course.step / plan.steps


def _is_due(one: _Run, options: Options) -> bool:
    if options.seconds is not None:
        return one.course.seconds - one.measured_at >= options.measure_s
    plan = one.recipe.optimisation
    return one.course.step % plan.measure_every == 0 or one.course.step % plan.checkpoint_every == 0


def _size(runs: Sequence[_Run], options: Options, started: float) -> None:
    """Find out what a step of each costs by taking some, if there are several to share the device."""
    if len(runs) == 1:
        return
    for one in runs:
        begun = time.monotonic()
        for _ in range(SIZED_BY_STEPS):
            _step(one, _progress(one, options, time.monotonic() - started))
        _wait(one, 0)
        one.step_s = (time.monotonic() - begun) / SIZED_BY_STEPS
        logger.info("A step of {} takes {:.2f} ms", one.recipe.name, 1000 * one.step_s)


def _step(one: _Run, progress: float) -> None:
    stream = one.stepper.stream
    with torch.cuda.stream(stream) if stream is not None else nullcontext():
        one.stepper.step(progress)
        if stream is not None:
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(stream)
            one.waiting.append(event)
    _wait(one, AHEAD)


def _wait(one: _Run, most: int) -> None:
    while len(one.waiting) > most:
        one.waiting.popleft().synchronize()


def _measure(one: _Run, saved: Callable[[Path], None] | None) -> None:
    _wait(one, 0)
    course = one.course
    loss, gains = one.stepper.mean_loss(), one.validation.gains(course.average)
    row = {
        "step": course.step, "steps": one.recipe.optimisation.steps, "seconds": round(course.seconds, 1),
        "loss": round(loss, 6),
    } | {f"gain_{kind}_db": round(gain, 4) for kind, gain in gains.items()}  # fmt: skip
    log_row(one.folder / LOG, row)
    logger.info("{} {}", one.recipe.name, " ".join(f"{key} {value}" for key, value in row.items()))
    course.save(one.folder / CHECKPOINT, one.recipe.fingerprint())
    write_plot(one.folder / LOG, one.folder / PLOT, title=PLOT_TITLE)
    export_onnx(_on_cpu(one), one.folder / f"{one.recipe.name}.onnx")
    if saved is not None:
        saved(one.folder)


def _on_cpu(one: _Run) -> LumaNet:
    return copy.deepcopy(one.course.average).cpu()
