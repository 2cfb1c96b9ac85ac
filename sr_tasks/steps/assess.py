"""Step `assess`: measures the finished file against its source, pictures and everything else."""

from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.status import Task
from sr_tasks.media.probe import probe
from sr_tasks.quality import integrity
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.pictures import Album
from sr_tasks.records.assessment import Assessment, IntegrityReport, Pictures
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.registry.registry import Registry
from sr_tasks.steps.timing import timed
from sr_tasks.telemetry.progress import FramesDone, Observers, Progress, ProgressFile
from sr_tasks.telemetry.statsd import Instruments


@timed(Task.ASSESS)
def run(job_id: str, settings: Settings, observer: Progress | None = None) -> dict[str, Any]:
    """Leave `assessment`, `pictures`, `integrity` and `output_media` in the job folder. Raises IntegrityBroken."""
    folder = JobFolder(settings.workdir, job_id)
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    output = folder.load("output", OutputRecord)
    album = Album(source.media.video, spec.scale)
    file = ProgressFile(folder.path / "progress" / "assess.json")
    assessment, proof, media = compare(
        Path(source.local_path),
        Path(output.path),
        source.media,
        spec.scale,
        source.fates,
        frozenset(output.damaged_pts),
        settings,
        Observers([file, observer] if observer else [file]),
        album,
        is_stylised=Registry.of(settings).get(source.model).card.kind == "style",
    )
    folder.store("pictures", Pictures(tuple(album.pairs())))
    folder.store("assessment", assessment)
    folder.store("integrity", proof)
    folder.store("output_media", media)
    instruments = Instruments(settings)
    instruments.quality_measured(source.model, assessment.psnr_mean, assessment.ssim_mean)
    instruments.close()
    return figures(assessment)


def compare(
    source: Path, output: Path, source_info: MediaInfo, scale: int, fates: tuple[StreamPlan, ...],
    damaged_pts: frozenset[int], settings: Settings, observer: Progress, album: Album | None = None, *,
    is_stylised: bool = False,
) -> tuple[Assessment, IntegrityReport, MediaInfo]:  # fmt: skip
    """Assess the pictures and prove the rest; the output is decoded once. `is_stylised`: by a model of kind style."""
    output_info = probe(output)
    frames = source_info.video.frames
    assessment = assess(
        source,
        output,
        source_info,
        output_info,
        scale,
        report_progress=lambda done: observer.on_event(FramesDone(done=done, total=frames, fps=0.0)),
        damaged_pts=damaged_pts,
        threads=settings.worker_threads,
        album=album,
        is_stylised=is_stylised,
    )
    proof = integrity.check(
        source,
        output,
        source_info,
        output_info,
        scale=scale,
        fates=fates,
        decode=assessment.decode,
        timing=assessment.timing,
    )
    logger.info("assessed: PSNR {:.2f} dB, integrity {}", assessment.psnr_mean, "proved" if proof.ok else "broken")
    return assessment, proof, output_info


def figures(assessment: Assessment) -> dict[str, Any]:
    """The few figures that go into status, logs and `--json`."""
    return {
        "psnr_db": round(assessment.psnr_mean, 2),
        "psnr_worst_frame_db": round(assessment.psnr_worst.value, 2),
        "ssim": round(assessment.ssim_mean, 4),
        "block_psnr_worst_db": round(assessment.block_psnr_worst.value, 2),
        "damaged_frames": assessment.decode.damaged_frames,
    }
