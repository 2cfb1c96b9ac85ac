"""The golden set: truths, the degraded sources made of them, and what a model makes of those in figures.

Deterministic; runs no model itself, but asks a function for enlarged planes. Knows no registry.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sr_tasks.planes import metrics
from sr_tasks.planes.scaling import to_codes
from sr_tasks.release.golden.degrade import CLASSES, Degradation, degraded, make_small
from sr_tasks.release.golden.planes import Planes, enlarged, to_planes, to_rgb
from sr_tasks.release.golden.scenes import CANVAS, PICTURE, Rgb, Scene, drawn, photographs

GOLDEN_SCHEMA: Final = 1
"""Raise it whenever the same model would measure otherwise: figures of another schema are not compared."""

FRAMES: Final = 6
PAN: Final = (3, 5)
"""Px of the truth that a panning clip moves down and across in a frame; odd, so that every phase of sampling occurs."""
_CLIPS: Final = {"titles": PAN, "leaves": (0, 0), "coffee": PAN, "astronaut": (0, 0)}

Upscale = Callable[[Planes, float], Sequence[NDArray[np.uint8]]]
"""(Planes of a source frame, its level in 8-bit codes) to planes `scale` times the size."""
Distance = Callable[[Rgb, Rgb], float]
"""(Output, truth) to a perceptual distance; smaller is better."""


class ItemScore(BaseModel):
    """One scene under one degradation; over the frames of a clip the mean. dB, codes; against the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    degradation: str
    scene: str
    kind: Literal["drawn", "photograph"]
    psnr: float
    """Of luma, a border of `scale` px left out."""
    bicubic_psnr: float
    ssim: float
    gmsd: float
    chroma_psnr: float
    """The worse of U and V."""
    flicker: float | None = None
    """Of clips alone."""
    bicubic_flicker: float | None = None
    lpips: float | None = None


class GoldenScores(BaseModel):
    """What one version makes of the golden set at one scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    golden_schema: int = GOLDEN_SCHEMA
    scale: int
    items: tuple[ItemScore, ...]
    not_measured: tuple[str, ...] = ()
    """Metrics that were left out, with the reason."""

    def of(self, degradation: str) -> tuple[ItemScore, ...]:
        return tuple(item for item in self.items if item.degradation == degradation)

    @property
    def degradations(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item.degradation for item in self.items))


@dataclass(frozen=True, kw_only=True)
class GoldenItem:
    """Frames of one scene under one degradation, and what they should have become."""

    degradation: str
    scene: Scene
    truths: tuple[Planes, ...]
    sources: tuple[Planes, ...]
    step: tuple[int, int] | None
    """Px of the truth a clip pans by in a frame; None for a picture."""
    level: float = 0.0
    """Root mean square error of luma of this degradation's sources, in codes; the same for all of its items."""


def evaluate(upscale: Upscale, items: Sequence[GoldenItem], scale: int, lpips: Distance | None = None) -> GoldenScores:
    """Figures of every item. Raises what `upscale` raises."""
    return GoldenScores(
        scale=scale,
        items=tuple(_score(item, upscale, scale, lpips) for item in items),
        not_measured=() if lpips else ("LPIPS: no weights are given",),
    )


def golden_items(scale: int, own: Sequence[Scene] = ()) -> tuple[GoldenItem, ...]:
    """The golden set for a scale of 1, 2, 3, 4 or 8: pictures under every degradation of pictures, clips under those
    of clips. `own` scenes take the place of its own; all of them pan. Needs scikit-image for the photographs."""
    scenes = own or (*drawn(), *photographs())
    moving = [(scene, PAN) for scene in own] or [(one, _CLIPS[one.name]) for one in scenes if one.name in _CLIPS]
    items = [*_pictures(scenes, scale), *_clips(moving, scale)]
    levels: dict[str, list[float]] = {}
    for item in items:
        levels.setdefault(item.degradation, []).append(item.level)
    return tuple(dataclasses.replace(item, level=float(np.mean(levels[item.degradation]))) for item in items)


def figures_of(item: GoldenItem, upscale: Upscale) -> tuple[Rgb, Rgb, Rgb]:
    """Source, output and truth of an item's first frame, to look at."""
    output = upscale(item.sources[0], item.level)
    return to_rgb(item.sources[0]), to_rgb(_three(output)), to_rgb(item.truths[0])


def _pictures(scenes: Sequence[Scene], scale: int) -> Iterator[GoldenItem]:
    for degradation in CLASSES:
        if degradation.subject == "picture" and degradation.is_for(scale):
            for number, scene in enumerate(scenes):
                yield _item(scene, degradation, scale, frames=1, step=None, seed=number)


def _clips(scenes: Sequence[tuple[Scene, tuple[int, int]]], scale: int) -> Iterator[GoldenItem]:
    for degradation in CLASSES:
        if degradation.subject == "clip" and degradation.is_for(scale):
            for number, (scene, step) in enumerate(scenes):
                yield _item(scene, degradation, scale, frames=FRAMES, step=step, seed=100 + number)


def _item(
    scene: Scene, degradation: Degradation, scale: int, *, frames: int, step: tuple[int, int] | None, seed: int
) -> GoldenItem:
    truths = _frames(scene, frames=frames, step=step or (0, 0))
    sources = degraded(truths, degradation, scale, seed=seed)
    level = 0.0
    if not degradation.is_clean:
        clean = [make_small(truth, scale, degradation.down_scaling)[0] for truth in truths]
        level = metrics.rms_error([source[0] for source in sources], clean)
    return GoldenItem(
        degradation=degradation.name,
        scene=scene,
        truths=tuple(_rounded(planes) for planes in truths),
        sources=sources,
        step=step,
        level=level,
    )


def _frames(scene: Scene, *, frames: int, step: tuple[int, int]) -> list[tuple[NDArray[np.float64], ...]]:
    """Unrounded truths: a window of `PICTURE` that moves over the scene. Chroma needs even places, so it is made of
    each window anew."""
    rows, columns = PICTURE
    top, left = (0, 0) if any(step) else ((CANVAS[0] - rows) // 2, (CANVAS[1] - columns) // 2)
    windows = (
        scene.rgb[top + n * step[0] : top + n * step[0] + rows, left + n * step[1] : left + n * step[1] + columns]
        for n in range(frames)
    )
    return [to_planes(window) for window in windows]


def _rounded(planes: Sequence[NDArray[np.float64]]) -> Planes:
    y, u, v = (to_codes(plane) for plane in planes)
    return y, u, v


def _three(planes: Sequence[NDArray[np.uint8]]) -> Planes:
    y, u, v = planes
    return y, u, v


def _score(item: GoldenItem, upscale: Upscale, scale: int, lpips: Distance | None) -> ItemScore:
    outputs = [_three(upscale(source, item.level)) for source in item.sources]
    baseline = [enlarged(source[0], scale) for source in item.sources]
    pairs = list(zip(outputs, item.truths, strict=True))
    flickers: Mapping[str, float] = {}
    if item.step is not None:
        flickers = {
            "flicker": metrics.flicker([output[0] for output in outputs], item.step),
            "bicubic_flicker": metrics.flicker(baseline, item.step),
        }
    return ItemScore(
        degradation=item.degradation,
        scene=item.scene.name,
        kind=item.scene.kind,
        psnr=_mean(metrics.psnr(output[0], truth[0], crop=scale) for output, truth in pairs),
        bicubic_psnr=_mean(
            metrics.psnr(plane, truth[0], crop=scale) for plane, truth in zip(baseline, item.truths, strict=True)
        ),
        ssim=_mean(metrics.ssim(output[0], truth[0], crop=scale) for output, truth in pairs),
        gmsd=_mean(metrics.gmsd(output[0], truth[0], crop=scale) for output, truth in pairs),
        chroma_psnr=min(_mean(metrics.psnr(o[channel], t[channel]) for o, t in pairs) for channel in (1, 2)),
        lpips=_mean(lpips(to_rgb(output), to_rgb(truth)) for output, truth in pairs) if lpips else None,
        **flickers,
    )


def _mean(values: Iterator[float] | Sequence[float]) -> float:
    return round(float(np.mean(list(values))), 5)
