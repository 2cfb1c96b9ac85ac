"""What a job that ended says about its version of the model, and about the other one while a candidate is out.

Observing may not break a job: whatever goes wrong here is logged, and the job ends as it would have.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.pictures.reading import read
from sr_tasks.pictures.samples import planes_of
from sr_tasks.records.assessment import Assessment, Verdict
from sr_tasks.records.job import ModelRecord, OutputRecord, PlanRecord, SourceRecord
from sr_tasks.registry.channels import is_drawn
from sr_tasks.registry.registry import Registry
from sr_tasks.release import watch
from sr_tasks.release.observations import Observation, Observations
from sr_tasks.release.paired import FRAMES, PairedResult, Party, paired_test, sampled
from sr_tasks.telemetry.guard import observes

SHADOW_FRAMES = 2


@observes
def job_done(job_id: str, settings: Settings) -> None:
    """For `report`: store what the job tells, and let the rule look at it. Never raises."""
    folder = JobFolder(settings.workdir, job_id)
    source, output = folder.load("source", SourceRecord), folder.load("output", OutputRecord)
    assessment, video = folder.load("assessment", Assessment), source.media.video
    name, _, version = source.model.partition("@")
    prepared = folder.load("model", ModelRecord).prepared
    megapixels = video.width * video.height * video.frames / 1e6
    other = _other_version(name, version, settings)
    Observations(settings.state_dir).put(
        Observation(
            name=name,
            version=version,
            job_id=folder.path.name,
            at=datetime.now(UTC),
            verdict=str(folder.load("verdict", Verdict).decision),
            psnr_mean=assessment.psnr_mean,
            psnr_worst=assessment.psnr_worst.value,
            ssim_mean=assessment.ssim_mean,
            seconds_per_megapixel=round(output.upscale_s / max(megapixels, 1e-6), 5),
            device=f"{prepared.device}, {prepared.backend}, {prepared.precision}",
            **_paired_with(other, folder, settings, None),
        )
    )
    watch.consider(name, settings)


@observes
def job_failed(job_id: str, settings: Settings) -> None:
    """For `clean` after a failure: store its code, and let the rule look at it. Never raises."""
    folder = JobFolder(settings.workdir, job_id)
    failure = folder.failure()
    if failure is None or not folder.has("source"):
        return
    name, _, version = folder.load("source", SourceRecord).model.partition("@")
    Observations(settings.state_dir).put(
        Observation(
            name=name,
            version=version,
            job_id=folder.path.name,
            at=datetime.now(UTC),
            error_code=failure.code,
        )
    )
    watch.consider(name, settings)


@observes
def chunk_done(job_id: str, index: int, settings: Settings) -> None:
    """For `upscale`, once a chunk is committed: a candidate that shadows it does some of its frames beside production.
    Nothing of that is delivered. Never raises."""
    folder = JobFolder(settings.workdir, job_id)
    name, _, version = folder.load("source", SourceRecord).model.partition("@")
    channels = Registry.of(settings).channels(name)
    if channels.candidate is None or version == channels.candidate:
        return
    if not is_drawn(channels.shadow, name, channels.candidate, folder.job_id, str(index)):
        return
    logger.info("chunk {} is shadowed by {}@{}", index, name, channels.candidate)
    told = _paired_with(channels.candidate, folder, settings, index)
    if told:
        Observations(settings.state_dir).put(
            Observation(
                name=name, version=version, job_id=folder.path.name, kind="shadow", chunk=index, at=datetime.now(UTC),
                **told,
            )
        )  # fmt: skip


def _other_version(name: str, version: str, settings: Settings) -> str | None:
    """The version to pair with while a candidate is out: the candidate, or for the candidate production."""
    channels = Registry.of(settings).channels(name)
    if channels.candidate is None:
        return None
    return channels.production if version == channels.candidate else channels.candidate


def _paired_with(other: str | None, folder: JobFolder, settings: Settings, chunk: int | None) -> dict[str, Any]:
    """The fields of an observation that the paired test gives, of one chunk or of the whole source; empty for none."""
    if other is None:
        return {}
    try:
        result = _paired(other, folder, settings, chunk)
    except Exception as exc:  # what else the job tells must not be lost by it
        logger.opt(exception=exc).warning("the versions could not be paired in job {}: {}", folder.job_id, exc)
        return {}
    return {"other": other, "pairs": result.pairs, "broke_off": result.broke_off, "broke_off_why": result.why}


def _paired(other: str, folder: JobFolder, settings: Settings, chunk: int | None) -> PairedResult:
    source, spec = folder.load("source", SourceRecord), folder.load("spec", JobSpec)
    chunks = folder.load("plan", PlanRecord).chunks
    registry, name = Registry.of(settings), source.model.partition("@")[0]
    entries = registry.get(source.model), registry.get(f"{name}@{other}")
    if entries[0].card.kind == "style":
        return PairedResult()  # a style is not meant to give its source back
    chosen, count = (chunks, FRAMES) if chunk is None else (chunks[chunk : chunk + 1], SHADOW_FRAMES)
    path, media = Path(source.local_path), source.media
    if media.still is None:
        frames = sampled(path, media.picture, chosen, media.video.bit_depth, count)
    else:
        frames = [planes_of(read(path)[1])]
    own, against = (
        Party(entry=entry, variant=source.variant(spec.network_scale(media.video, entry.card.scales), entry.card))
        for entry in entries
    )
    return paired_test(own, against, frames, settings)
