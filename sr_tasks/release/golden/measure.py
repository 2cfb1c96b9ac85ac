"""The golden set run by a version of the registry, as jobs of this deployment would run it. Judges nothing."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from loguru import logger
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sr_tasks.config import Settings
from sr_tasks.inference.backend import Session
from sr_tasks.inference.version_sessions import opened, ready
from sr_tasks.records.media import VideoInfo
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.release.golden.items import GOLDEN_SCHEMA, GoldenItem, GoldenScores, Upscale, evaluate, golden_items
from sr_tasks.release.golden.lpips import Lpips
from sr_tasks.release.golden.planes import Planes
from sr_tasks.release.golden.scenes import PICTURE
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

SCALES: Final = (1, 2, 4)
"""Those that jobs may ask for."""


class GoldenRecord(BaseModel):
    """What one version made of the golden set on one kind of device."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    made_by: str
    """Key of the prepared model, and of the golden set's schema."""
    device: str
    scores: tuple[GoldenScores, ...]


def measured(entry: ModelEntry, settings: Settings) -> GoldenRecord:
    """Figures at every scale of the version; found beside its report if the very same was measured before."""
    made_by, device = _identity(entry, settings)
    path = report_folder(settings.state_dir, entry) / "golden.json"
    earlier = _earlier(path)
    if earlier is not None and earlier.made_by == made_by:
        return earlier
    scores = []
    lpips = Lpips(Path(settings.lpips_path)) if settings.lpips_path else None
    for scale in scales_of(entry):
        logger.info("{} enlarges the golden set {} times", entry.label, scale)
        with upscaler(entry, scale, settings) as upscale:
            scores.append(evaluate(upscale, items_of(scale), scale, lpips))
    record = GoldenRecord(label=entry.label, made_by=made_by, device=device, scores=tuple(scores))
    with writing(path):
        write_text(path, json.dumps(record.model_dump(mode="json"), indent=1))
    return record


def scales_of(entry: ModelEntry) -> tuple[int, ...]:
    return tuple(scale for scale in entry.card.scales if scale in SCALES) or entry.card.scales[:1]


def report_folder(state_dir: Path, entry: ModelEntry) -> Path:
    return state_dir / "reports" / entry.card.name / entry.card.version


@cache
def items_of(scale: int) -> tuple[GoldenItem, ...]:
    """The golden set, made once a process."""
    return golden_items(scale)


@contextmanager
def upscaler(entry: ModelEntry, scale: int, settings: Settings) -> Iterator[Upscale]:
    """A function that enlarges planes of the golden set by this version. One session a level is open meanwhile."""
    rows, columns = PICTURE[0] // scale, PICTURE[1] // scale
    with ExitStack() as stack:
        sessions: dict[GraphVariant, Session] = {}

        def upscale(planes: Planes, level: float) -> Sequence[NDArray[np.uint8]]:
            variant = GraphVariant.of(_video(rows, columns), scale, entry.card, level)
            if variant not in sessions:
                sessions[variant] = stack.enter_context(opened(entry, variant, settings, width=columns, height=rows))
            return [np.asarray(plane, np.uint8) for plane in sessions[variant].infer((planes,))]

        yield upscale


def prepare_all(entry: ModelEntry, settings: Settings) -> str:
    """Prepare and prove the version at every scale; gives the device in words. Raises ModelRejected."""
    return _identity(entry, settings)[1]


def _identity(entry: ModelEntry, settings: Settings) -> tuple[str, str]:
    keys, device = [f"golden {GOLDEN_SCHEMA}", settings.lpips_path], ""
    for scale in scales_of(entry):
        rows, columns = PICTURE[0] // scale, PICTURE[1] // scale
        variant = GraphVariant.of(_video(rows, columns), scale, entry.card)
        prepared = ready(entry, variant, settings, width=columns, height=rows)
        keys.append(prepared.key)
        device = f"{prepared.device} ({prepared.backend}, {prepared.precision})"
    return " ".join(keys), device


def _earlier(path: Path) -> GoldenRecord | None:
    try:
        return GoldenRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        logger.warning("the figures {} cannot be read and are measured anew: {}", path, type(exc).__name__)
        return None


def _video(rows: int, columns: int) -> VideoInfo:
    """The golden set as a video: 8-bit 4:2:0, BT.709, limited range, chroma in the middle."""
    return VideoInfo(
        index=0, codec="", width=columns, height=rows, pix_fmt="yuv420p", bit_depth=8, chroma="420", color_range=1,
        color_primaries=1, color_trc=1, colorspace=1, chroma_location=2, sample_aspect_ratio="1:1", rotation=0,
        interlaced=False, time_base="1/25", average_rate="25", is_vfr=False, frames=1, start_pts=0, end_pts=1,
        keyframes=1, pts_sha256="",
    )  # fmt: skip
