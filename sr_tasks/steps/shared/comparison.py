"""An output against its source: the pictures assessed and everything else proved, with the output decoded once."""

from pathlib import Path
from typing import Any

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.media.probe import probe
from sr_tasks.quality import integrity
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.pictures import Album
from sr_tasks.records.assessment import Assessment, IntegrityReport
from sr_tasks.records.media import MediaInfo, StreamPlan
from sr_tasks.records.sizes import Size
from sr_tasks.telemetry.progress import FramesDone, Progress


def compare(
    source: Path, output: Path, source_info: MediaInfo, size: Size, fates: tuple[StreamPlan, ...],
    damaged_pts: frozenset[int], settings: Settings, observer: Progress, album: Album | None = None, *,
    is_stylised: bool = False,
) -> tuple[Assessment, IntegrityReport, MediaInfo]:  # fmt: skip
    """Assess the pictures and prove the rest; the output is decoded once. `size`: what the
    output was to have. `is_stylised`: by a model of kind style."""
    output_info = probe(output)
    frames = source_info.video.frames
    assessment = assess(
        source,
        output,
        source_info,
        output_info,
        size,
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
        size=size,
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
