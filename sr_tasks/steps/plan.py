"""Step `plan`: cuts the video into chunks worth a task each, and fixes what decides their bytes."""

from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.media.chunks import plan_chunks
from sr_tasks.records.cards import ModelCard
from sr_tasks.records.job import PlanRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.source import require_unchanged
from sr_tasks.steps.timing import timed
from sr_tasks.storage.hashing import sha256_file


@timed(Task.PLAN)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `plan` in the job folder. Returns the chunk indexes to map over. Raises InputChanged."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    path, video = Path(source.local_path), source.media.video
    require_unchanged(source, settings)
    card = Registry.of(settings).get(source.model).card
    target = frames_worth_a_task(card, video.width * video.height, spec.scale, settings)
    threads = settings.worker_threads
    plan = PlanRecord(
        source_sha256=sha256_file(path),
        chunks=tuple(plan_chunks(path, target_frames=target, total_frames=video.frames, picture=source.media.picture)),
        streams=threads,
        encoder_threads=max(1, min(8, threads // 2)),
    )
    folder.store("plan", plan)
    return {"chunks": [chunk.index for chunk in plan.chunks], "frames": video.frames}


def frames_worth_a_task(card: ModelCard, pixels: int, scale: int, settings: Settings) -> int:
    """Frames that take about `chunk_target_s` seconds, from the card's measured cost of one thread."""
    return max(1, round(settings.chunk_target_s / seconds_a_frame(card, pixels, scale, settings)))


def seconds_a_frame(card: ModelCard, pixels: int, scale: int, settings: Settings) -> float:
    """What the card says a frame of so many source pixels takes on this machine's threads, without encoding it."""
    passes = sum(card.scale ** (2 * n) for n in range(card.scales.index(scale) + 1)) if scale in card.scales else 1
    return card.relative_cost * passes * pixels / 1e6 / settings.worker_threads
