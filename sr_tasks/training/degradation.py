"""Trains what `sr_tasks.media.degradation` measures with, from synthetic pictures degraded here; reads no photograph.

python -m sr_tasks.training.degradation --out sr_tasks/media/degradation.npz
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from loguru import logger
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_tasks.media.degradation import FLOOR, REACH
from sr_tasks.media.traces import traces
from sr_tasks.planes.scaling import Codes, to_codes
from sr_tasks.storage.atomic import replacing
from sr_tasks.training.degrade import encoded
from sr_tasks.training.downscale import KINDS, downscale
from sr_tasks.training.fates import Degraded, Rng, suffer
from sr_tasks.training.recipe import PoolRecipe
from sr_tasks.training.synthesis import draw_image

SEED: Final = 41
POOL: Final = PoolRecipe(
    images=180,
    side=512,
    scenes={"leaves": 0.68, "text": 0.12, "lines": 0.08, "gratings": 0.06, "clouds": 0.06},
    lens_blur_probability=0.6,
    lens_blur_sigma_max=2.8,
    defocus_probability=0.3,
    faint_probability=0.5,
    grain_probability=0.0,
    grain_sigma_max=0.0,
)
"""Without grain: whatever looks like noise here was put there, and is known."""

PER_IMAGE: Final = 48
HELD_OUT_IMAGES: Final = 10
GRAPHICS: Final = 2400
VIDEO_SIDE, VIDEO_FRAMES = 208, 3
PATCH: Final = 128
MARGIN: Final = 18
"""Px around the middle of a patch whose own error is not asked for."""

WIDTHS: Final = (96, 48)
STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 4000, 256, 4e-3, 1e-2
DROPOUT, JITTER = 0.1, 0.05
"""Shares of hidden values left out, and noise on the traces: against learning the pictures by heart."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """`traces` float32 [n, traces]; `square` float32 [n], mean square error in codes squared; `share` float32 [n], how
    much of it compression made."""

    traces: NDArray[np.float32]
    square: NDArray[np.float32]
    share: NDArray[np.float32]


def draw_examples(first: int, count: int) -> Examples:
    """Examples of the synthetic images `first` to `first + count`; the same arguments give the same examples."""
    examples = []
    for number in range(first, first + count):
        image = draw_image(POOL, SEED, number)
        for turn in range(PER_IMAGE):
            rng = np.random.default_rng([SEED, number, turn, 5])
            examples.append(_looked_at(rng, suffer(rng, _video(rng, image))))
        if (number + 1) % 20 == 0:
            logger.info("Looked at {} synthetic images", number + 1)
    return _together(examples)


def draw_graphics(count: int) -> Examples:
    """Examples of drawings with thin lines, lettering and even shading, many of them hardly compressed: what is sharp
    and smooth by nature must not be taken for something that a codec has made so."""
    examples = []
    for number in range(count):
        rng = np.random.default_rng([SEED, number, 7])
        video = _video(rng, _graphic(rng), shrinks=False)
        if rng.random() < 0.25:
            crf = str(int(rng.integers(2, 15)))
            light = encoded(video, "libx264", {"crf": crf, "preset": str(rng.choice(["ultrafast", "medium"]))})
            example = Degraded(source=light[-1], truth=video[-1], compression_share=1.0)
        else:
            example = suffer(rng, video)
        examples.append(_looked_at(rng, example))
    return _together(examples)


def _looked_at(rng: Rng, example: Degraded) -> Examples:
    window = _window(rng, example)
    source = example.source[window].astype(np.float32)
    error = (source - example.truth[window])[MARGIN:-MARGIN, MARGIN:-MARGIN]
    return Examples(
        traces=traces(source)[None],
        square=np.array([np.mean(error**2)], dtype=np.float32),
        share=np.array([example.compression_share], dtype=np.float32),
    )


def _together(examples: Sequence[Examples]) -> Examples:
    return Examples(
        traces=np.concatenate([one.traces for one in examples]),
        square=np.concatenate([one.square for one in examples]),
        share=np.concatenate([one.share for one in examples]),
    )


def _graphic(rng: Rng) -> Codes:
    """A drawing of 256 px: shading, lines, circles, letters, drawn at twice the size."""
    side = 512
    ramp = np.linspace(0, 1, side, dtype=np.float32)
    slopes = rng.uniform(-120, 120, 2)
    canvas = to_codes(rng.uniform(20, 235) + slopes[0] * ramp[:, None] + slopes[1] * ramp)
    for _ in range(int(rng.integers(0, 60))):
        (x, y), (x2, y2) = rng.integers(0, side, (2, 2)).tolist()
        shade, thickness = int(rng.integers(256)), int(rng.integers(1, 7))
        if rng.random() < 0.5:
            cv2.line(canvas, (x, y), (x2, y2), shade, thickness)
        elif rng.random() < 0.5:
            cv2.circle(canvas, (x, y), int(rng.integers(6, 200)), shade, int(rng.choice([-1, thickness])))
        else:
            text = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz 0123456789"), 16))
            face, size = int(rng.integers(0, 5)), float(rng.uniform(0.5, 2.5))
            cv2.putText(canvas, text, (x - 100, y), face, size, shade, thickness)
    shrunk = cv2.resize(canvas.astype(np.float32), (side // 2, side // 2), interpolation=cv2.INTER_AREA)
    codes = to_codes(shrunk.astype(np.float64))
    if rng.random() < 0.6:  # as if it had been RGB: limited range, rounded a second time
        codes = to_codes(16 + codes * (219 / 255) + rng.uniform(-0.5, 0.5, codes.shape) * (rng.random() < 0.3))
    return codes


def _video(rng: Rng, image: Codes, *, shrinks: bool = True) -> list[Codes]:
    """Pictures of VIDEO_SIDE that pan over `image`, or over a smaller version of it; sometimes flat as cartoons."""
    if shrinks and rng.random() < 0.6:
        kind = KINDS[int(rng.choice(len(KINDS), p=(0.4, 0.2, 0.25, 0.15)))]
        image = to_codes(downscale(image.astype(np.float64), kind, 2))
    if rng.random() < 0.1:
        levels = float(rng.integers(4, 12))
        image = to_codes(np.round(image / 255 * levels) / levels * 255)
    motion = rng.integers(-6, 7, size=2) if rng.random() < 0.6 else np.zeros(2, dtype=np.int64)
    room = image.shape[0] - VIDEO_SIDE - 2 * 6 * VIDEO_FRAMES
    corner = 6 * VIDEO_FRAMES + rng.integers(max(1, room), size=2)
    places = [corner + motion * number for number in range(VIDEO_FRAMES)]
    return [np.ascontiguousarray(image[y : y + VIDEO_SIDE, x : x + VIDEO_SIDE]) for y, x in places]


def _window(rng: Rng, example: Degraded) -> tuple[slice, slice]:
    top, left = rng.integers(example.source.shape[0] - PATCH + 1, size=2)
    return slice(top, top + PATCH), slice(left, left + PATCH)


@dataclass(frozen=True, kw_only=True)
class Estimator:
    """A network over traces that were shifted by `mean` and divided by `spread`. Its answers are the logarithm of the
    level, and the logit of the share that compression made."""

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    net: nn.Sequential

    def inputs(self, given: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.clip((given - self.mean) / self.spread, -REACH, REACH).astype(np.float32))


def new_estimator(examples: Examples) -> Estimator:
    sides = (examples.traces.shape[1], *WIDTHS, 2)
    layers: list[nn.Module] = []
    for before, after in zip(sides, sides[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(DROPOUT)]
    spread = (examples.traces.std(axis=0) + 1e-3).astype(np.float32)
    return Estimator(mean=examples.traces.mean(axis=0), spread=spread, net=nn.Sequential(*layers[:-2]))


def fit(examples: Examples, steps: int = STEPS) -> Estimator:
    """One thread: the same seed gives the same weights on the same kind of processor."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    estimator = new_estimator(examples)
    optimiser = torch.optim.AdamW(estimator.net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    inputs, square = estimator.inputs(examples.traces), torch.from_numpy(examples.square)
    share = torch.from_numpy(examples.share)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (BATCH,))
        answers = estimator.net(inputs[chosen] + JITTER * torch.randn(BATCH, inputs.shape[1]))
        optimiser.zero_grad()
        loss_of(answers, square[chosen], share[chosen]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    estimator.net.eval()
    return estimator


def loss_of(answers: Tensor, square: Tensor, share: Tensor) -> Tensor:
    """Square error of the logarithm of the level, and how wrong the kind of error is where there is one."""
    level = (answers[:, 0] - 0.5 * (square + FLOOR).log()).square().mean()
    kind = nn.functional.binary_cross_entropy_with_logits(answers[:, 1], share, weight=square.clamp(max=1.0))
    return level + 0.3 * kind


@torch.no_grad()
def log_error(estimator: Estimator, examples: Examples) -> float:
    """Root mean square error of the natural logarithm of the level, over patches whose level is at least 0.5."""
    known = examples.square >= 0.25
    answers = estimator.net(estimator.inputs(examples.traces[known]))[:, 0].numpy()
    errors = answers - 0.5 * np.log(examples.square[known] + FLOOR)
    return float(np.sqrt(np.mean(errors**2)))


def save(estimator: Estimator, path: Path) -> None:
    """As float16: half the size, and no measurable difference."""
    arrays = {"mean": estimator.mean, "spread": estimator.spread}
    linear = [layer for layer in estimator.net if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(linear):
        arrays[f"weight{number}"] = layer.weight.detach().numpy()
        arrays[f"bias{number}"] = layer.bias.detach().numpy()
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{name: array.astype(np.float16) for name, array in arrays.items()})  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    out: Path = parser.parse_args(arguments).out
    estimator = fit(_together([draw_examples(0, POOL.images), draw_graphics(GRAPHICS)]))
    save(estimator, out)
    held_out = draw_examples(POOL.images, HELD_OUT_IMAGES)
    logger.info("{}: log error {:.3f} on pictures held out", out, log_error(estimator, held_out))


if __name__ == "__main__":
    main()
