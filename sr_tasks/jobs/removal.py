"""Forgets a job that ended: what it delivered, if asked for, and its scratch. The run itself is Airflow's."""

import shutil
from collections.abc import Mapping

from sr_tasks.config import Settings
from sr_tasks.errors import InputNotFound
from sr_tasks.jobs.delivered import delivered
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.records.job import ModelRecord, SourceRecord
from sr_tasks.storage import failures, transfer
from sr_tasks.storage.workdir import ChunkStore


def remove_delivered(job_id: str, record: Mapping[str, str], settings: Settings) -> None:
    """Remove the output and all that is beside it, the manifest last, so that it may be repeated after a crash.

    `record` has the fields of a DeliveryRecord. Raises TargetExists if the files are of another job by now, and
    InputInvalid, UriNotAllowed, TargetUnwritable and StorageUnavailable. What is not there is none to remove.
    """
    try:
        found = delivered(job_id, record, settings)
    except InputNotFound:
        return
    for location in (found.output, *found.pictures, found.report, found.manifest):
        transfer.remove(location, settings)


def remove_scratch(job_id: str, settings: Settings) -> None:
    """Remove the job's folder, and its chunks unless another job uses them. May be repeated.

    The folder of a job that goes to a bucket stays for the purge: it says which unfinished uploads are to be ended.
    Raises TargetUnwritable.
    """
    folder = JobFolder(settings.workdir, job_id)
    model = folder.find("model", ModelRecord)
    if model is not None:
        ChunkStore(settings.workdir, model.fingerprint).release(job_id)
    source = folder.find("source", SourceRecord)
    is_in_a_bucket = source is not None and source.output_uri.startswith("s3://")
    if folder.path.is_dir() and not (is_in_a_bucket and not folder.has("delivery")):
        with failures.writing(folder.path):
            shutil.rmtree(folder.path)
