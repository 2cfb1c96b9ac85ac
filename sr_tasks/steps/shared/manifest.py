"""The manifest: the record of one job, from what its steps left in the job folder. Measured, not assumed."""

import contextlib
import dataclasses
import importlib.metadata
import platform
from datetime import UTC, datetime
from typing import Any

import av

from sr_tasks import __version__
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.manifest import SCHEMA_VERSION
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.view import noted_timings
from sr_tasks.records.assessment import Assessment, IntegrityReport, Verdict
from sr_tasks.records.beside import PicturesBeside
from sr_tasks.records.job import ModelRecord, OutputRecord, PlanRecord, ReviewRecord, SourceRecord
from sr_tasks.records.media import MediaInfo
from sr_tasks.records.rate import RateRecord
from sr_tasks.steps.shared import forecast
from sr_tasks.steps.shared.encoding import encode_settings
from sr_tasks.steps.shared.still import target_of

_PACKAGES = ("apache-airflow", "av", "numpy", "onnx", "onnxruntime", "opencv-python-headless", "openvino", "pillow")


def build(folder: JobFolder) -> dict[str, Any]:
    """Raises IntegrityBroken if a step has left no record."""
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    plan = folder.load("plan", PlanRecord)
    model, output = folder.load("model", ModelRecord), folder.load("output", OutputRecord)
    prepared = model.prepared
    rate = folder.load("rate", RateRecord) if spec.is_rated else None
    encode = encode_settings(spec, source, plan)
    if rate is not None:
        encode = dataclasses.replace(encode, crf=rate.crf or 0)
    return {
        "schema_version": SCHEMA_VERSION,
        "job": {"id": folder.job_id, "finished": datetime.now(UTC).isoformat(timespec="seconds")},
        "request": spec.model_dump(mode="json"),
        "source": {
            "uri": source.uri,
            "identity": source.identity,
            "sha256": plan.source_sha256,
            "size_bytes": source.size_bytes,
            "probe": source.media.model_dump(mode="json"),
            "degradation": source.degradation and source.degradation.model_dump(mode="json"),
        },
        "output": {
            "uri": source.output_uri,
            "sha256": output.sha256,
            "size_bytes": output.size_bytes,
            "probe": folder.load("output_media", MediaInfo).model_dump(mode="json"),
            "damaged_pts": list(output.damaged_pts),
        },
        "pictures_beside": folder.load("beside", PicturesBeside).model_dump(mode="json")
        if spec.pictures_beside
        else None,
        "model": {
            "name": prepared.name,
            "version": prepared.version,
            "reason": source.model_reason,
            "level": source.level,
            "strength": spec.strength,
            "blended_with": model.plain and f"{model.plain.name}@{model.plain.version}",
            "grain": model.grain and model.grain.model_dump(mode="json"),
            "filters": source.media.picture.filters,
            "sha256": prepared.weights_sha256,
            "prepared_key": prepared.key,
            "cache_hit": model.cache_hit,
        },
        "device": {
            "name": prepared.device,
            "backend": prepared.backend,
            "precision": prepared.precision,
            "precision_reason": prepared.precision_reason,
            "proof": prepared.proof,
            "streams": plan.streams,
            "tile_px": model.tile_px,
        },
        "encode": {key: str(value) for key, value in vars(target_of(spec, source) or encode).items() if key != "hdr"},
        "rate": rate and rate.model_dump(mode="json", exclude={"fingerprint"}),
        "rehearsal": source.rehearsal and source.rehearsal.model_dump(mode="json", exclude={"fates"}),
        "streams": [fate.model_dump(mode="json") for fate in source.fates],
        "chunks": {
            "fingerprint": model.fingerprint,
            "ranges": [chunk.model_dump(mode="json") for chunk in plan.chunks],
        },
        "forecast": forecast.compared(folder),
        "timings_s": {**noted_timings(folder), "upscale": output.upscale_s},
        "quality": folder.load("assessment", Assessment).model_dump(mode="json"),
        "integrity": folder.load("integrity", IntegrityReport).model_dump(mode="json"),
        "verdict": folder.load("verdict", Verdict).model_dump(mode="json"),
        "review": folder.load("review", ReviewRecord).model_dump(mode="json") if folder.has("review") else None,
        "software": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what took part."""
    found = {"video-super-resolution-enhancer": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    codec = ".".join(map(str, av.library_versions["libavcodec"]))
    return found | {"libavcodec": codec}
