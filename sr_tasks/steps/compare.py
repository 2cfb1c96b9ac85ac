"""`models compare`: a few frames of a source by several models, on one sheet, so that people can choose by eye."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from sr_tasks.config import Settings
from sr_tasks.demux.timeline import temporary_table
from sr_tasks.errors import InputInvalid, UsageError
from sr_tasks.inference.backend import Planes, Session, backend_for
from sr_tasks.inference.version_sessions import opened
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.planes.metrics import psnr_db
from sr_tasks.quality.figures import Picture, output_picture, source_picture
from sr_tasks.quality.frames import Frame
from sr_tasks.quality.pictures import Region, as_uri, cut_out, enlarged, gained_most, gradient, region_around, to_rgb
from sr_tasks.quality.sheet import Sheet, SheetModel, SheetPlace, render
from sr_tasks.records.media import MediaInfo, VideoInfo
from sr_tasks.records.prepared import GraphVariant
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry
from sr_tasks.release.paired import sampled
from sr_tasks.steps.shared.choice import choose
from sr_tasks.steps.shared.inspection import inspect_file
from sr_tasks.steps.shared.locations import locations
from sr_tasks.storage import transfer
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.failures import writing

FRAMES: Final = 4


@dataclass(frozen=True, kw_only=True)
class _Source:
    video: VideoInfo
    pictures: tuple[Picture, ...]
    bicubic: tuple[float, ...]
    """Mean gradient of each picture's luma, enlarged."""


@dataclass(kw_only=True)
class _Tried:
    """What a model made of the frames: their crops, and figures."""

    entry: ModelEntry
    level: float
    crops: list[Frame] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)


def compare(references: Sequence[str], spec: JobSpec, page: Path, settings: Settings) -> dict[str, Any]:
    """Write the sheet `page`, and return its figures. Holds `FRAMES` frames and one output at a time.

    Raises the errors that a job would raise for its source and for each model, InputInvalid for a source that shows
    nothing, and UsageError for a model named twice.
    """
    entries = [Registry.of(settings).get(reference) for reference in references]
    if len({entry.label for entry in entries}) < len(entries):
        raise UsageError("A model is named twice.", hint="Name each version once: NAME@VERSION.")
    source_uri, output = locations(spec, settings)
    path = transfer.fetch(source_uri, settings.workdir / "fetched", settings)
    with temporary_table() as table:
        found, _ = inspect_file(spec, path, output.suffix.lower(), settings, table)
        scale = spec.network_scale(found.media.video)
        source = _source(path, found.media, scale)
        levels = [_level(spec, entry, path, found.media, settings) for entry in entries]
    tried = [_Tried(entry=entry, level=level) for entry, level in zip(entries, levels, strict=True)]
    regions: list[Region] = []
    for one in sorted(tried, key=lambda each: each.entry.card.kind == "resampler"):
        _try(one, source, regions, scale, settings)
    sheet = Sheet(
        source_name=path.name,
        size=f"{source.video.width}x{source.video.height}",
        scale=scale,
        device=backend_for(settings.backend).device,
        models=[_figures(one) for one in tried],
        places=[_place(number, region, source, tried) for number, region in enumerate(regions)],
    )
    with writing(page):
        write_text(page, render(sheet))
    return {"sheet": str(page)} | sheet.model_dump(mode="json", include={"scale", "size", "device", "models"})


def _source(path: Path, media: MediaInfo, scale: int) -> _Source:
    video = media.video
    target = -(-video.frames // FRAMES)
    chunks = plan_chunks(path, target_frames=target, total_frames=video.frames, picture=media.picture)
    frames = sampled(path, media.picture, chunks, video.bit_depth, FRAMES)
    if not frames:
        raise InputInvalid(f"{path.name} shows nothing: its frames are flat.", hint="Choose another clip.")
    pictures = tuple(source_picture(_frame(planes, video)) for planes in frames)
    size = video.width * scale, video.height * scale
    large = [cv2.resize(one.luma, size, interpolation=cv2.INTER_CUBIC) for one in pictures]
    return _Source(video=video, pictures=pictures, bicubic=tuple(gradient(luma) for luma in large))


def _level(spec: JobSpec, entry: ModelEntry, path: Path, media: MediaInfo, settings: Settings) -> float:
    asked = spec.model_copy(update={"model": entry.label})
    return choose(asked, path, media, "compare", settings).level


def _try(one: _Tried, source: _Source, regions: list[Region], scale: int, settings: Settings) -> None:
    """Run the model over the frames. The first network says which regions are shown."""
    video = source.video
    variant = GraphVariant.of(video, scale, one.entry.card, one.level)
    with ExitStack() as stack:
        session = stack.enter_context(opened(one.entry, variant, settings, width=video.width, height=video.height))
        session.infer((source.pictures[0].frame.planes,))
        for number, picture in enumerate(source.pictures):
            frame = _frame(_timed(session, picture.frame.planes, one.seconds), video)
            output = output_picture(frame, video.width, video.height)
            if number == len(regions):
                regions.append(region_around(gained_most(picture, output), picture.luma.shape))
            error = output.luma.astype(np.float32) - picture.luma
            one.errors.append(float(np.mean(error * error)))
            one.sharpness.append(gradient(_bytes(frame)) / max(source.bicubic[number], 1e-6))
            one.crops.append(cut_out(frame, enlarged(regions[number], output.scales)))


def _timed(session: Session, planes: Planes, seconds: list[float]) -> Planes:
    began = time.perf_counter()
    made = session.infer((planes,))
    seconds.append(time.perf_counter() - began)
    return made


def _frame(planes: Planes, video: VideoInfo) -> Frame:
    return Frame(pts=0, planes=planes, bit_depth=video.bit_depth)


def _bytes(frame: Frame) -> Any:
    return cv2.convertScaleAbs(frame.planes[0], alpha=2.0 ** (8 - frame.bit_depth))


def _figures(one: _Tried) -> SheetModel:
    return SheetModel(
        label=one.entry.label,
        title=one.entry.card.title,
        told=f"level {one.level:.2f}" if one.entry.card.level is not None else "",
        frame_ms=1000 * float(np.median(one.seconds)),
        closeness_db=psnr_db(float(np.mean(one.errors))),
        sharpness=float(np.mean(one.sharpness)),
    )


def _place(number: int, region: Region, source: _Source, tried: Sequence[_Tried]) -> SheetPlace:
    before = to_rgb(cut_out(source.pictures[number].frame, region), source.video)
    after = [to_rgb(one.crops[number], source.video) for one in tried]
    height, width = after[0].shape[:2]
    return SheetPlace(
        x=region.x,
        y=region.y,
        width=width,
        height=height,
        source=as_uri(before, ".png"),
        outputs=[as_uri(image, ".jpg") for image in after],
    )
