"""Step `upscale`: one chunk, from decoding to its marker. A chunk that is committed already is not computed again.

The file is written under a name of this attempt alone, read back, renamed, and then its marker is written. A kill at
any point leaves either a whole chunk with a marker or nothing that counts, so the step may be repeated at any time.
Several chunks of a job may run at once, on several machines. They share nothing but the chunk store.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import InputDamaged
from sr_tasks.inference.backend import Session
from sr_tasks.inference.lease import Holder, leased_backend
from sr_tasks.inference.loop import LoopReport, upscale_chunk
from sr_tasks.inference.memory import Room, frames_in_flight
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.decode import ChunkReader
from sr_tasks.media.encode import ChunkWriter, prove_chunk
from sr_tasks.planes.grain import GrainMaker
from sr_tasks.records.job import ModelRecord, PlanRecord, SourceRecord
from sr_tasks.records.media import Chunk
from sr_tasks.release import observe
from sr_tasks.steps.shared import still
from sr_tasks.steps.shared.encoding import chunk_settings
from sr_tasks.steps.shared.opening import open_model
from sr_tasks.steps.shared.source import require_unchanged
from sr_tasks.storage.space import SpaceWatch
from sr_tasks.storage.workdir import ChunkStore
from sr_tasks.streams.assemble import reorder_depth
from sr_tasks.telemetry import devices
from sr_tasks.telemetry.progress import FramesDone, Observers, Progress, ProgressFile
from sr_tasks.telemetry.statsd import Instruments


def run(job_id: str, index: int, settings: Settings, observer: Progress | None = None) -> dict[str, Any]:
    """Compute and commit chunk `index`.

    Raises ChunkFailed, DeviceBusy, InputChanged, InputDamaged, IntegrityBroken, DiskFull.
    """
    folder = JobFolder(settings.workdir, job_id)
    model, plan = folder.load("model", ModelRecord), folder.load("plan", PlanRecord)
    store = ChunkStore(settings.workdir, model.fingerprint)
    store.register(job_id)
    chunk = plan.chunks[index]
    file = ProgressFile(folder.path / "progress" / f"{index}.json")
    meter = _Meter(chunk.frames, Observers([file, observer] if observer else [file]))
    marker = store.committed(index)
    prepared = model.prepared
    logger.info(
        "chunk {} of {}: {} frames from pts {}, {} on {} ({}, {}, {} streams)",
        index + 1, len(plan.chunks), chunk.frames, chunk.start_pts, f"{prepared.name}@{prepared.version}",
        prepared.device, prepared.backend, prepared.precision, plan.streams,
    )  # fmt: skip
    computed = marker is None
    if marker is None:
        marker = _compute(folder, store, chunk, model, plan, settings, meter)
        with Instruments(settings) as instruments:
            instruments.frames_done(chunk.frames)
            instruments.chunk_committed(marker["seconds"])
            instruments.speed_measured(chunk.frames / max(marker["seconds"], 1e-3))
        observe.chunk_done(job_id, index, settings)
    else:
        logger.info("chunk {} is there already", index)
    meter(chunk.frames)
    return {"index": index, "frames": chunk.frames, "computed": computed, "seconds": marker["seconds"]}


_LOG_EVERY_S = 10.0


class _Meter:
    """Turns a running count of frames into progress events."""

    def __init__(self, total: int, observer: Progress) -> None:
        self._total, self._observer, self._started = total, observer, time.monotonic()
        self._logged_at = 0.0

    def __call__(self, done: int) -> None:
        seconds = time.monotonic() - self._started
        fps = done / seconds if seconds > 0.1 else 0.0
        if done == self._total or seconds - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = seconds
            logger.info("{} of {} frames, {:.1f} fps", done, self._total, fps)
        self._observer.on_event(FramesDone(done=done, total=self._total, fps=fps))


def _compute(
    folder: JobFolder, store: ChunkStore, chunk: Chunk, model: ModelRecord, plan: PlanRecord, settings: Settings,
    on_frame: Callable[[int], None],
) -> dict[str, Any]:  # fmt: skip
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    require_unchanged(source, settings)
    require_room = SpaceWatch(store.path, settings.min_free_bytes)
    require_room()

    def frame_done(done: int) -> None:
        require_room()
        on_frame(done)

    encode = chunk_settings(spec, source, plan)
    video, path, variant = source.media.video, Path(source.local_path), model.prepared.variant
    room = Room.of_machine(plan.streams, max_task_bytes=settings.max_task_bytes)
    partial = store.partial(chunk.index)
    try:
        holder = Holder(job=folder.job_id, chunk=chunk.index)
        with _session(holder, spec, source, model, plan.streams, settings) as session:
            if source.media.still is not None:
                marker = still.enlarged_into(partial, source, spec, session)
                return store.commit(chunk.index, partial, marker)
            report = upscale_chunk(
                ChunkReader(path=path, chunk=chunk, picture=source.media.picture),
                session,
                ChunkWriter(partial, encode, chunk.start_pts, chunk.frames),
                streams=plan.streams,
                in_flight=frames_in_flight(variant, video.width, video.height, room),
                on_frame=frame_done,
                finish=GrainMaker(model.grain, video.bit_depth).add if model.grain is not None else None,
            )
        _refuse_damage(report, settings)
        prove_chunk(partial, encode.time_base, chunk.start_pts, chunk.frames, chunk.pts_sha256)
        marker = {
            "frames": report.frames,
            "seconds": round(report.seconds, 3),
            "damaged_pts": list(report.damaged_pts),
            "reorder_depth": reorder_depth(partial, encode.time_base),
        }
        return store.commit(chunk.index, partial, marker)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _session(
    holder: Holder, spec: JobSpec, source: SourceRecord, model: ModelRecord, streams: int, settings: Settings
) -> Iterator[Session]:
    """The job's model, opened on a device of the step's own, whose load is told meanwhile."""
    prepared = model.prepared
    with (
        leased_backend(prepared.backend, settings, holder, like=prepared.device) as device,
        devices.watched(settings, device.gpu.uuid if device.gpu else None),
        contextlib.closing(open_model(device.backend, spec, source, model, streams, settings)) as session,
    ):
        yield session


def _refuse_damage(report: LoopReport, settings: Settings) -> None:
    damaged = len(report.damaged_pts)
    if damaged:
        logger.warning("{} of {} frames are damaged in the source and were repeated", damaged, report.frames)
    if damaged > max(1.0, settings.max_damaged_share * report.frames):
        raise InputDamaged(
            f"{damaged} of {report.frames} frames of one chunk cannot be decoded; the limit is "
            f"{settings.max_damaged_share:.0%}.",
            hint="Find a better copy of the source, or raise SR_MAX_DAMAGED_SHARE.",
        )
