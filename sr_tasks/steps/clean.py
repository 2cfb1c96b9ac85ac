"""Step `clean`: clears scratch after a success; after a failure keeps what a resume needs."""

import shutil
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.steps.records import ModelRecord
from sr_tasks.storage.workdir import ChunkStore


def run(job_id: str, settings: Settings, *, failed: bool) -> dict[str, Any]:
    """Remove the joined file, fetched source and, unless another job uses them, the chunks. `failed` keeps the chunks.

    The small records of the job folder stay: they are what status, retries and the report of a refused job read.
    """
    folder = JobFolder(settings.workdir, job_id)
    removed = False
    if folder.has("model"):
        store = ChunkStore(settings.workdir, folder.load("model", ModelRecord).fingerprint)
        removed = store.release(job_id, keep=failed)
    if folder.path.is_dir():
        for path in folder.path.iterdir():
            if path.name.startswith(("output.", ".output.", "source-", ".source-")):
                path.unlink(missing_ok=True)
        shutil.rmtree(folder.path / "progress", ignore_errors=True)
    return {"chunks_removed": removed, "kept_for_resume": failed}
