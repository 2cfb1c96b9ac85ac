"""The report page of a job, from what its steps left in the job folder."""

from datetime import UTC, datetime

from sr_tasks.config import Settings
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.jobs.view import noted_timings
from sr_tasks.quality.report import ReportData
from sr_tasks.quality.report import render as render_page
from sr_tasks.records.assessment import Assessment, IntegrityReport, Pictures, Verdict
from sr_tasks.records.cards import GateLimits
from sr_tasks.records.job import ModelRecord, OutputRecord, PlanRecord, ReviewRecord, SourceRecord
from sr_tasks.records.media import MediaInfo
from sr_tasks.records.rate import RateRecord
from sr_tasks.steps.shared.manifest import versions
from sr_tasks.steps.shared.still import target_of
from sr_tasks.storage import failures, uris
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.uris import Location


def write(folder: JobFolder, limits: GateLimits, settings: Settings) -> None:
    """Leave report.html in the job folder. Raises IntegrityBroken if a step has left no record, and DiskFull."""
    source = folder.load("source", SourceRecord)
    html = render(folder, limits, uris.parse(source.uri, settings), uris.parse(source.output_uri, settings))
    with failures.writing(folder.path):
        write_text(folder.path / "report.html", html)


def render(folder: JobFolder, limits: GateLimits, source_at: Location, output_at: Location) -> str:
    """Self-contained HTML. Raises IntegrityBroken if a step has left no record."""
    spec, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    plan, output = folder.load("plan", PlanRecord), folder.load("output", OutputRecord)
    model = folder.load("model", ModelRecord).prepared
    return render_page(
        ReportData(
            job_id=folder.job_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            source_name=source_at.name,
            output_name=output_at.name,
            source_info=source.media,
            output_info=folder.load("output_media", MediaInfo),
            model=model.name,
            model_version=model.version,
            device=f"{model.device} ({model.backend}, {model.precision}, {plan.streams} streams)",
            settings=_settings(spec, source, len(plan.chunks), folder.find("rate", RateRecord)),
            streams=source.fates,
            assessment=folder.load("assessment", Assessment),
            integrity=folder.load("integrity", IntegrityReport),
            limits=limits,
            verdict=folder.load("verdict", Verdict),
            decision=f"{folder.load('review', ReviewRecord)}." if folder.has("review") else "",
            is_gate_on=spec.gate,
            timings_s={**noted_timings(folder), "upscale": output.upscale_s},
            software=versions(),
            pictures=folder.load("pictures", Pictures).root,
        )
    )


def _settings(spec: JobSpec, source: SourceRecord, chunks: int, rate: RateRecord | None) -> dict[str, str]:
    measured = source.degradation
    target = target_of(spec, source)
    written = (
        {"Format": target.format, "Chroma": target.subsampling if target.format == "JPEG" else "not subsampled"}
        if target is not None
        else {
            "Codec": spec.codec,
            "CRF": _crf(spec, rate),
            "Preset": spec.preset,
            "Chunks": str(chunks),
            "Rehearsed": "no" if source.rehearsal is None else str(source.rehearsal),
        }
    )
    return {
        "Model chosen": source.model_reason,
        "Source's degradation": "not measured" if measured is None else f"{measured}, in 8-bit codes",
        "Restoration": _restoration(source),
        **({"Strength": f"{spec.strength:g}, the rest is plain resampling"} if spec.strength < 1.0 else {}),
        "Scale": f"{spec.scale}x" if spec.size is None else f"to {spec.size}",
        **written,
        "Quality gate": "on" if spec.gate else "off",
    }


def _restoration(source: SourceRecord) -> str:
    parts = [f"level {source.level:.1f}"] if source.level else []
    parts += [f"FFmpeg's filters {filters}"] if (filters := source.media.picture.filters) else []
    return "; ".join(parts) or "none"


def _crf(spec: JobSpec, rate: RateRecord | None) -> str:
    if rate is not None:
        return f"{rate.crf:g} in all chunks, for {spec.target_size or f'{spec.bitrate}b/s'}"
    if spec.video_codec.is_lossless:
        return "lossless"
    return "none" if spec.video_codec.crf is None else str(spec.effective_crf)
