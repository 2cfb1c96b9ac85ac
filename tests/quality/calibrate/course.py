"""Takes a clip through the steps of a job, up to the finished file, and measures it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.media.probe import probe
from sr_tasks.quality.consistency import assess
from sr_tasks.quality.gate import judge
from sr_tasks.records.assessment import Assessment, IntegrityReport, Verdict
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.job import OutputRecord, SourceRecord
from sr_tasks.records.media import MediaInfo
from sr_tasks.records.sizes import output_size
from sr_tasks.registry.registry import Registry
from sr_tasks.steps import assemble, plan, prepare_model, upscale, validate
from tests.quality.calibrate.cases import Case, write_source

WHOLE = IntegrityReport(ok=True, findings=())


def made(case: Case, folder: Path, settings: Settings) -> tuple[Path, Path]:
    """Source and output of the case, made where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    source, output = folder / "source.mkv", folder / "output.mkv"
    if output.exists():
        return source, output
    write_source(source, case)
    codec, _, crf = case.codec.partition(" crf ")
    spec = JobSpec(source=str(source), output=str(folder / "wanted.mkv"), scale=case.scale, model=case.model,
                   codec=codec, crf=int(crf) if crf else None, overwrite=True)  # fmt: skip
    job = f"calibrate-{hashlib.sha256(case.name.encode()).hexdigest()[:16]}"
    validate.run(spec, job, settings)
    for index in plan.run(job, settings)["chunks"]:
        if index == 0:
            prepare_model.run(job, settings)
        upscale.run(job, index, settings)
    assemble.run(job, settings)
    records = JobFolder(settings.workdir, job)
    (folder / "media.json").write_text(records.load("source", SourceRecord).media.model_dump_json())
    Path(records.load("output", OutputRecord).path).replace(output)
    return source, output


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the gate says of an output, and the limits it was held against."""

    assessment: Assessment
    verdict: Verdict
    limits: GateLimits


def measured(source: Path, output: Path, model: str, scale: int, settings: Settings) -> Measured:
    """Assess an output and judge it by the model's own limits. That its streams are whole is taken for granted."""
    card = Registry.of(settings).get(model).card
    known = source.with_name("media.json")  # what the job found out about it: fields, for instance
    media = MediaInfo.model_validate_json(known.read_text(encoding="utf-8")) if known.exists() else probe(source)
    assessment = assess(
        source, output, media, probe(output), output_size(media.video, scale, None),
        report_progress=lambda _: None, threads=1,
        is_stylised=card.kind == "style",
    )  # fmt: skip
    return Measured(assessment=assessment, verdict=judge(assessment, WHOLE, card.gate), limits=card.gate)


FIGURES = ("global_psnr_min", "frame_psnr_min", "block_psnr_min", "ssim_min", "plane_shift_max", "block_shift_max",
           "color_error_max", "pixel_shift_max", "seam_max")  # fmt: skip


def figures(found: Measured) -> dict[str, float]:
    """What is held against each limit, by the limit's name."""
    a = found.assessment
    frame = a.kept_psnr_worst or a.psnr_worst
    values = (
        a.psnr_mean if a.kept_psnr_mean is None else a.kept_psnr_mean, frame.value, a.block_psnr_worst.value,
        a.ssim_worst.value, a.plane_shift_worst.value, a.block_shift_worst.value, a.color_error_worst.value,
        a.pixel_shift_worst.value, a.seam_worst.value,
    )  # fmt: skip
    return {name: abs(value) for name, value in zip(FIGURES, values, strict=True)}
