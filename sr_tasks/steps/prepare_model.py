"""Step `prepare_model`: makes the planes-to-planes graph for this kind of frame, or finds it in the cache."""

from typing import Any

from sr_tasks.config import Settings
from sr_tasks.inference.backend import backend_for
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.models.prepare import prepare
from sr_tasks.models.registry import Registry
from sr_tasks.steps.fingerprint import fingerprint
from sr_tasks.steps.records import ModelRecord, PlanRecord, SourceRecord, encode_settings, graph_variant
from sr_tasks.steps.timing import timed
from sr_tasks.storage.workdir import ChunkStore
from sr_tasks.telemetry.statsd import Instruments


@timed("prepare_model")
def run(job_id: str, settings: Settings) -> dict[str, Any]:
    """Leave `model` in the job folder and register the job with its chunks. Raises ModelRejected."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    plan = folder.load("plan", PlanRecord)
    video = source.media.video
    entry = Registry(settings.models_dir).get(source.model)
    prepared, cache_hit = prepare(
        entry,
        graph_variant(spec, source, entry.card),
        backend_for(settings.backend),
        settings.precision,
        settings.workdir / "models",
        width=video.width,
        height=video.height,
    )
    instruments = Instruments(settings)
    if cache_hit:
        instruments.cache_hit()
    else:
        instruments.cache_missed()
    instruments.close()
    record = ModelRecord(
        prepared=prepared,
        cache_hit=cache_hit,
        fingerprint=fingerprint(plan, encode_settings(spec, source, plan), prepared),
    )
    ChunkStore(settings.workdir, record.fingerprint).register(job_id)
    folder.store("model", record)
    return {"device": prepared.device, "precision": prepared.precision, "cache_hit": cache_hit}
