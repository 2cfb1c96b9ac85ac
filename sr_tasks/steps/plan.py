"""Step `plan`: cuts the video into chunks worth a task each, and fixes what decides their bytes."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.pictures.described import ONE_CHUNK
from sr_tasks.records.job import PlanRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared.pace import frames_worth_a_task
from sr_tasks.steps.shared.source import require_unchanged
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage.hashing import sha256_file


@timed(Task.PLAN)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `plan` in the job folder. Returns the chunk indexes to map over. Raises InputChanged."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    path, video = Path(source.local_path), source.media.video
    require_unchanged(source, settings)
    card = Registry.of(settings).get(source.model).card
    scale = spec.network_scale(video, card.scales)
    target = frames_worth_a_task(card, video.width * video.height, scale, settings)
    threads = settings.worker_threads
    chunks = (
        [ONE_CHUNK]
        if source.media.still is not None
        else plan_chunks(path, target_frames=target, total_frames=video.frames, picture=source.media.picture)
    )
    plan = PlanRecord(
        source_sha256=sha256_file(path),
        chunks=tuple(chunks),
        streams=threads,
        encoder_threads=max(1, min(8, threads // 2)),
    )
    folder.store("plan", plan)
    return {"chunks": [chunk.index for chunk in plan.chunks], "frames": video.frames}
