"""The rehearsal: before any chunk, a few seconds of the source go through the whole course, so that what could fail at
the end fails here. Kept for the next job with the same source and settings."""

import functools
import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Final

import cv2
from loguru import logger
from pydantic import ValidationError

from sr_tasks.config import Settings
from sr_tasks.inference.machine import task_bytes
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.codecs import Preset
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.rehearsal import Rehearsal
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared.confined import Bounds, confined
from sr_tasks.steps.shared.fingerprint import code_version
from sr_tasks.storage.atomic import write_text

BUDGET_S: Final = 2.0
"""Seconds that the frames may take, as far as it can be told beforehand."""
_ROOMS: Final = ("demux", "graphs", "inference", "media", "planes", "quality", "records", "steps", "streams")
_CPU_S: Final = 60
_WRITTEN_BYTES: Final = 4 << 30
_MP_S: Final = 0.06
"""Seconds of one thread that a megapixel of output takes beside its encoding: decoded twice, resampled, compared."""


def rehearse(spec: JobSpec, source: SourceRecord, scratch: Path, settings: Settings) -> Rehearsal:
    """Take the source through the course in a process of its own, or say what an earlier job found.

    Raises RehearsalFailed and other InputRefused errors for what would not come out right, InputDamaged, DiskFull.
    """
    judged = spec.gate and source.model  # a preview has no model
    limits = Registry.of(settings).get(source.model).card.gate if judged else None
    record = settings.workdir / "rehearsed" / f"{_key(spec, source, limits, settings)}.json"
    known = _known(record)
    if known is not None:
        logger.info("rehearsed before: {}", known)
        return known
    from sr_tasks.steps import rehearsal_course as course

    effort = course.Effort.of(spec, source, BUDGET_S, functools.partial(_frame_s, spec, source, settings))
    bounds = Bounds(memory_bytes=task_bytes(settings.max_task_bytes), cpu_s=_CPU_S, written_bytes=_WRITTEN_BYTES)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    own_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # a forked process has none of the threads that OpenCV would wait for
    try:
        found = confined(
            lambda: course.through(spec, source, effort, limits, scratch, settings),
            Rehearsal,
            Path(source.local_path),
            bounds,
        )
    finally:
        cv2.setNumThreads(own_threads)
        shutil.rmtree(scratch, ignore_errors=True)
    logger.info("rehearsed: {}", found)
    write_text(record, found.model_dump_json(indent=1))
    return found


def _frame_s(spec: JobSpec, source: SourceRecord, settings: Settings, preset: Preset) -> float:
    """Seconds that a frame takes."""
    video = source.media.video
    megapixels = math.prod(spec.output_size(video)) / 1e6
    return megapixels * (spec.video_codec.encoding_s(preset) / settings.worker_threads + _MP_S)


def _key(spec: JobSpec, source: SourceRecord, limits: GateLimits | None, settings: Settings) -> str:
    facts = {
        "code": code_version(_ROOMS),
        "uri": source.uri,
        "identity": source.identity,
        "suffix": source.suffix,
        "spec": spec.model_dump(mode="json", include=set(DECIDING)),
        "limits": limits and limits.model_dump(mode="json"),
        "damaged": settings.max_damaged_share,
        "fates": [row.model_dump(mode="json") for row in source.fates],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


DECIDING: Final = (
    "scale", "size", "codec", "crf", "bitrate", "target_size", "preset", "bit_depth", "chroma", "fields", "fps",
    "program", "strip",
)  # fmt: skip
"""Fields of a request that a rehearsal depends on."""


def _known(record: Path) -> Rehearsal | None:
    try:
        return Rehearsal.model_validate_json(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as exc:
        logger.warning("the record of a rehearsal cannot be read, and it is done again: {}", exc)
        return None
