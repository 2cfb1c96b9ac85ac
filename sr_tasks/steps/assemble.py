"""Step `assemble`: joins the chunks and the source's other streams into the finished file, still in scratch."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.records.job import ModelRecord, OutputRecord, PlanRecord, SourceRecord
from sr_tasks.steps.shared.markers import marker_of
from sr_tasks.steps.shared.rate import Rate
from sr_tasks.steps.shared.source import require_unchanged
from sr_tasks.steps.shared.timing import timed
from sr_tasks.storage.atomic import replacing, sweep_partials
from sr_tasks.storage.hashing import sha256_file
from sr_tasks.storage.workdir import ChunkStore
from sr_tasks.streams.assemble import ChunkFile, assemble


@timed(Task.ASSEMBLE)
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `output` in the job folder. Raises ChunkMissing, IntegrityBroken, DiskFull."""
    folder = JobFolder(settings.workdir, job_id)
    source, plan = folder.load("source", SourceRecord), folder.load("plan", PlanRecord)
    store = ChunkStore(settings.workdir, folder.load("model", ModelRecord).fingerprint)
    markers = [marker_of(store, chunk) for chunk in plan.chunks]
    chunk_files = [
        ChunkFile(path=store.chunk_path(chunk.index), start_pts=chunk.start_pts, reorder_depth=marker["reorder_depth"])
        for chunk, marker in zip(plan.chunks, markers, strict=True)
    ]
    require_unchanged(source, settings)
    target = folder.path / f"output{source.suffix}"
    sweep_partials(target, older_than_s=0)
    spec = folder.load("spec", JobSpec)

    def join(files: Sequence[ChunkFile]) -> int:
        with replacing(target) as partial:
            assemble(
                Path(source.local_path), partial, source.suffix, source.media.video, files, list(source.fates),
                source.display_matrix, source.media.picture.clock, source.hdr, spec.strip,
            )  # fmt: skip
        return target.stat().st_size

    if source.media.still is not None:
        with replacing(target) as partial:
            shutil.copyfile(chunk_files[0].path, partial)
    elif spec.is_rated:
        Rate(folder, store, settings, join).settle()
    else:
        join(chunk_files)
    record = OutputRecord(
        path=str(target),
        size_bytes=target.stat().st_size,
        sha256=sha256_file(target),
        damaged_pts=tuple(pts for marker in markers for pts in marker["damaged_pts"]),
        upscale_s=sum(marker["seconds"] for marker in markers),
    )
    folder.store("output", record)
    return {"size_bytes": record.size_bytes, "damaged": len(record.damaged_pts)}
