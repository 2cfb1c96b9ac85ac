"""How long a step of a job should take, as far as the plan and its finished chunks tell. Starts and stops nothing."""

import math
from itertools import islice

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.records.job import ModelRecord, PlanRecord, SourceRecord
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.shared.pace import seconds_a_frame
from sr_tasks.steps.shared.rate import ROUNDS
from sr_tasks.storage.workdir import ChunkStore

_WHOLE: dict[str, float] = {Task.ASSEMBLE: 0.01, Task.ASSESS: 0.02}
"""Seconds that a megapixel takes in the steps that go over the whole output once; measured, and rounded up."""
_LOOKED_AT = 32


def seconds(step: str, job_id: str, chunk: int | None, settings: Settings) -> float | None:
    """For one try of a step, or of one chunk of it; None for a step whose work the plan does not decide.

    A chunk takes what the model's card and the encoder say or, where that is more, what the slowest of the finished
    chunks took for a frame. Raises IntegrityBroken if an earlier step left nothing.
    """
    if step == Task.UPSCALE and chunk is not None:
        return _of_chunk(JobFolder(settings.workdir, job_id), chunk, settings)
    if step in _WHOLE:
        folder = JobFolder(settings.workdir, job_id)
        spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
        megapixels = _output_megapixels(source, spec) * source.media.video.frames
        seconds = _WHOLE[step] * megapixels
        if step == Task.ASSEMBLE and spec.is_rated:
            seconds += ROUNDS * spec.video_codec.encoding_s(spec.preset) * megapixels / min(2, settings.worker_threads)
        return seconds
    return None


def _of_chunk(folder: JobFolder, chunk: int, settings: Settings) -> float:
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    plan, video = folder.load("plan", PlanRecord), source.media.video
    card = Registry.of(settings).get(source.model).card
    encoding_s = spec.video_codec.encoding_s(spec.preset) * _output_megapixels(source, spec) / settings.worker_threads
    planned_s = (
        seconds_a_frame(card, video.width * video.height, spec.network_scale(video, card.scales), settings) + encoding_s
    )
    return plan.chunks[chunk].frames * max(planned_s, _slowest_frame_s(folder, plan, settings))


def _output_megapixels(source: SourceRecord, spec: JobSpec) -> float:
    return math.prod(spec.output_size(source.media.video)) / 1e6


def _slowest_frame_s(folder: JobFolder, plan: PlanRecord, settings: Settings) -> float:
    """Seconds a frame took in the slowest of some finished chunks; 0 if none is."""
    store = ChunkStore(settings.workdir, folder.load("model", ModelRecord).fingerprint)
    markers = (store.committed(chunk.index) for chunk in plan.chunks)
    done = islice((marker for marker in markers if marker is not None), _LOOKED_AT)
    return max((marker["seconds"] / max(marker["frames"], 1) for marker in done), default=0.0)
