"""Step `prepare_model`: makes the planes-to-planes graph for this kind of frame, or finds it in the cache."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from sr_tasks.config import Settings
from sr_tasks.graphs.prepare import prepare
from sr_tasks.inference.lease import Device, Holder, leased_backend
from sr_tasks.inference.memory import Room, choose_tile_px
from sr_tasks.inference.tiles import Layout, plan_grid
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.media.spread import spread_frames
from sr_tasks.records.grain import Grain
from sr_tasks.records.job import ModelRecord, PlanRecord, SourceRecord
from sr_tasks.records.prepared import GraphVariant, PreparedModel
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared import still
from sr_tasks.steps.shared.encoding import chunk_settings
from sr_tasks.steps.shared.fingerprint import fingerprint
from sr_tasks.steps.shared.grain import grain_for
from sr_tasks.steps.shared.opening import open_model
from sr_tasks.steps.shared.plain import plain_entry
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage.workdir import ChunkStore
from sr_tasks.telemetry.statsd import Instruments


@timed(Task.PREPARE_MODEL)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `model` in the job folder and register the job with its chunks. Raises ModelRejected, DeviceBusy."""
    with leased_backend(settings.backend, settings, Holder(job=job_id)) as device:
        return _run(job_id, device, settings)


def _run(job_id: str, device: Device, settings: Settings) -> dict[str, Any]:
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    plan = folder.load("plan", PlanRecord)
    video = source.media.video
    entry = Registry.of(settings).get(source.model)
    variant = source.variant(spec.network_scale(video, entry.card.scales), entry.card)
    room = Room.of_device(device.gpu, plan.streams, max_task_bytes=settings.max_task_bytes)
    tile_px = choose_tile_px(entry, variant, video.width, video.height, room, wanted=settings.tile_px)
    grid = plan_grid(Layout.of(entry.card, variant), video.width, video.height, tile_px)
    prepared, cache_hit = prepare(
        entry,
        variant,
        device.backend,
        settings.precision,
        settings.workdir / "models",
        width=grid.columns.window,
        height=grid.rows.window,
        settings=settings,
        frames=_frames(source),
    )
    plain = _plain(spec, source, variant.scale, tile_px, device, settings)
    with Instruments(settings) as instruments:
        if cache_hit:
            instruments.cache_hit()
        else:
            instruments.cache_missed()
    record = ModelRecord(prepared=prepared, tile_px=tile_px, cache_hit=cache_hit, plain=plain)
    grain = _grain(spec, source, record, device, settings)
    decided = fingerprint(
        plan,
        source.media.picture,
        chunk_settings(spec, source, plan),
        prepared,
        entry.card,
        tile_px,
        still.target_of(spec, source),
        (spec.strength, plain) if plain is not None else None,
        grain,
    )
    record = record.model_copy(update={"grain": grain, "fingerprint": decided})
    ChunkStore(settings.workdir, record.fingerprint).register(job_id)
    folder.store("model", record)
    return {"device": prepared.device, "precision": prepared.precision, "tile_px": tile_px, "cache_hit": cache_hit}


def _grain(
    spec: JobSpec, source: SourceRecord, record: ModelRecord, device: Device, settings: Settings
) -> Grain | None:
    """What is added to the frames that come out, if anything is."""
    if spec.grain == "off":
        return None
    with contextlib.closing(open_model(device.backend, spec, source, record, 1, settings)) as session:
        grain = grain_for(spec, source, session)
    logger.info("grain of the output, {}: {}", spec.grain, grain)
    return grain


def _plain(
    spec: JobSpec, source: SourceRecord, scale: int, tile_px: int, device: Device, settings: Settings
) -> PreparedModel | None:
    """What the network's output is blended with, if it is."""
    if spec.strength == 1.0:
        return None
    entry, video = plain_entry(scale, settings), source.media.video
    variant = GraphVariant.of(video, scale, entry.card)
    grid = plan_grid(Layout.of(entry.card, variant), video.width, video.height, tile_px)
    width, height = grid.columns.window, grid.rows.window
    cache = settings.workdir / "models"
    return prepare(
        entry, variant, device.backend, settings.precision, cache, width=width, height=height, settings=settings
    )[0]


def _frames(source: SourceRecord) -> Iterator[NDArray[np.float32]]:
    """A few frames of the source, or its one picture: luma in 8-bit codes."""
    path, media = Path(source.local_path), source.media
    if media.still is None:
        yield from spread_frames(path, media.video, media.picture)
    else:
        yield still.luma_of(path)
