"""Step `clean`: clears scratch after a success; after a failure keeps what a resume needs."""

import shutil
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.errors import ReviewRejected
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.beside import BESIDE
from sr_tasks.records.job import ModelRecord
from sr_tasks.release import observe
from sr_tasks.steps.shared import meter
from sr_tasks.storage.workdir import ChunkStore


def run(job_id: str, settings: Settings, *, failed: bool) -> dict[str, Any]:
    """Remove the joined file, fetched source and, unless another job uses them, the chunks. `failed` keeps the chunks,
    and after a rejected review the joined file too, so that it can still be approved.

    The small records of the job folder stay: they are what status, retries and the report of a refused job read.
    """
    folder = JobFolder(settings.workdir, job_id)
    if failed:
        observe.job_failed(job_id, settings)
        meter.job_failed(job_id, settings)
    removed = False
    if folder.has("model"):
        store = ChunkStore(settings.workdir, folder.load("model", ModelRecord).fingerprint)
        removed = store.release(job_id, keep=failed)
    if folder.path.is_dir():
        failure = folder.failure()
        is_kept = failed and failure is not None and failure.code == ReviewRejected.code
        unneeded = ("source-", ".source-", ".output.") if is_kept else ("source-", ".source-", ".output.", "output.")
        for path in folder.path.iterdir():
            if path.name.startswith(unneeded):
                path.unlink(missing_ok=True)
        shutil.rmtree(folder.path / "progress", ignore_errors=True)
        if not failed:
            shutil.rmtree(folder.path / "rate", ignore_errors=True)
            for name in BESIDE.values():
                (folder.path / name).unlink(missing_ok=True)
    return {"chunks_removed": removed, "kept_for_resume": failed}
