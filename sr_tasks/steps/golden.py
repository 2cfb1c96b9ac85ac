"""`models golden`: models measured on clips of the user's own, by the degradations of the golden set.

Frames of the clips, made small by area so that their own compression is gone, take the place of the set's scenes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputInvalid, InputNotFound, SrError, UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.pictures import to_rgb
from sr_tasks.registry.registry import Registry
from sr_tasks.release.golden.items import GoldenScores, evaluate, golden_items
from sr_tasks.release.golden.measure import scales_of, upscaler
from sr_tasks.release.golden.scenes import CANVAS, Scene, fitted
from sr_tasks.release.paired import sampled
from sr_tasks.steps.shared.inspection import inspect_file

FRAMES: Final = 2
"""Of each clip."""
MAX_CLIPS: Final = 50


def golden(references: Sequence[str], folder: Path, scale: int, settings: Settings) -> dict[str, Any]:
    """Mean figures of each model by degradation, over frames of the clips in `folder`.

    A file that is refused is named with the reason in `left_out`. Raises InputNotFound without the folder,
    InputInvalid if no clip can be used, UsageError for a model of another scale or a model named twice.
    """
    entries = [Registry.of(settings).get(reference) for reference in references]
    if len({entry.label for entry in entries}) < len(entries):
        raise UsageError("A model is named twice.", hint="Name each version once: NAME@VERSION.")
    for entry in entries:
        if scale not in scales_of(entry):
            raise UsageError(f"{entry.label} does not enlarge {scale} times.", hint="Name another scale or model.")
    left_out: dict[str, str] = {}
    scenes = [scene for path in _clips(folder) for scene in _scenes(path, settings, left_out)]
    if not scenes:
        raise InputInvalid(f"No clip in {str(folder)!r} can be used.", hint="Bring clips that jobs take.")
    logger.info("{} scenes of {}", len(scenes), folder)
    items = golden_items(scale, scenes)
    models = []
    for entry in entries:
        with upscaler(entry, scale, settings) as upscale:
            models.append({"model": entry.label, "figures": _figures(evaluate(upscale, items, scale))})
        logger.info("Measured {}", entry.label)
    return {"scale": scale, "scenes": [scene.name for scene in scenes], "left_out": left_out, "models": models}


def _clips(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputNotFound(f"There is no folder {str(folder)!r}.", hint="Name the folder of the clips.")
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    if len(found) > MAX_CLIPS:
        raise UsageError(
            f"{str(folder)!r} has {len(found)} files, allowed are {MAX_CLIPS}.", hint="Choose the most telling ones."
        )
    return found


def _scenes(path: Path, settings: Settings, left_out: dict[str, str]) -> Iterator[Scene]:
    try:
        with temporary_table() as table:
            found, _ = inspect_file(JobSpec(source=str(path)), path, ".mkv", settings, table)
        video, picture = found.media.video, found.media.picture
        if video.height < CANVAS[0] or video.width < CANVAS[1]:
            raise InputInvalid(
                f"{path.name!r} is {video.width}x{video.height} px, and {CANVAS[1]}x{CANVAS[0]} are needed.",
                hint="Bring a larger clip.",
            )
        target = -(-video.frames // FRAMES)
        chunks = plan_chunks(path, target_frames=target, total_frames=video.frames, picture=picture)
        frames = sampled(path, picture, chunks, video.bit_depth, FRAMES)
    except SrError as exc:
        left_out[path.name] = str(exc)
        logger.warning("{} is left out: {}", path.name, exc)
        return
    for number, planes in enumerate(frames):
        rgb = to_rgb(Frame(pts=0, planes=planes, bit_depth=video.bit_depth), video)
        yield Scene(name=f"{path.name} {number + 1}", kind="photograph", rgb=fitted(rgb))


def _figures(scores: GoldenScores) -> dict[str, dict[str, float]]:
    """By degradation: mean gain over bicubic in dB, the worst scene's, and flicker as a multiple of bicubic's."""
    figures: dict[str, dict[str, float]] = {}
    for degradation in scores.degradations:
        items = scores.of(degradation)
        gains = [item.psnr - item.bicubic_psnr for item in items]
        figures[degradation] = {"gain_db": round(sum(gains) / len(gains), 3), "worst_gain_db": round(min(gains), 3)}
        ratios = [
            item.flicker / item.bicubic_flicker
            for item in items
            if item.flicker is not None and item.bicubic_flicker  # nothing moves in a still clip
        ]
        if ratios:
            figures[degradation]["flicker"] = round(sum(ratios) / len(ratios), 3)
    return figures
