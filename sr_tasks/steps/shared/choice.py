"""Which version of which model a job gets, why, and what the model is told of the source. Decided once a job, in
`validate`; changes nothing."""

from dataclasses import dataclass
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.errors import LicenceNotAllowed, ModelRejected, QualityRefused, UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import AUTO, JobSpec
from sr_tasks.media.degradation import measure_frames
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.media import MediaInfo, VideoInfo
from sr_tasks.registry.licences import require_licence
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.registry.routing import Facts, load_routing
from sr_tasks.steps.shared.confined import confined
from sr_tasks.steps.shared.first_look import measured
from sr_tasks.steps.shared.source import first_bounds
from sr_tasks.steps.shared.still import luma_of

_DECIDING = ("source", "scale", "model", "restore", "content", "tenant")
"""Fields of a request that the choice depends on."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What `SourceRecord` says of the model."""

    model: str
    reason: str
    level: float
    degradation: Degradation | None


def require_possible(spec: JobSpec, settings: Settings) -> None:
    """Raises what can be said against the model before the source is looked at."""
    if spec.model == AUTO:
        load_routing(settings).require_scale(spec.scale)
    else:
        _require_fit(Registry.of(settings).get(spec.model), spec, settings)


def choose(spec: JobSpec, path: Path, media: MediaInfo, job_id: str, settings: Settings) -> Choice:
    """For a job that begins. The source is measured only if something depends on it.

    Raises RoutesInvalid, ModelUnknown, ScaleUnsupported, LicenceNotAllowed, and UsageError for a restoration that the
    model cannot do.
    """
    registry = Registry.of(settings)
    degradation: Degradation | None = None
    name, why = spec.model, "asked for"
    if spec.model == AUTO:
        degradation = _measured(path, media, settings)
        name, route = load_routing(settings).choose(_facts(spec, media.video, degradation))
        why = f"auto: {_stated(spec, degradation)}, scale {spec.scale} -> {name}, {route}"
    entry, channel = registry.resolve(name, job_id)
    _require_fit(entry, spec, settings)
    if entry.card.level is not None and spec.restore is None and degradation is None:
        degradation = _measured(path, media, settings)
    return Choice(
        model=entry.label,
        reason=f"{why}, {channel}" if channel != why else why,
        level=_level(entry, spec, degradation),
        degradation=degradation,
    )


def _measured(path: Path, media: MediaInfo, settings: Settings) -> Degradation:
    bounds = first_bounds(path, settings)
    if media.still is None:
        return measured(path, bounds, media.video, media.picture)
    return confined(lambda: measure_frames([luma_of(path)]), Degradation, path, bounds)


def kept(spec: JobSpec, identity: str, folder: JobFolder) -> Choice | None:
    """What an earlier try of the very same job on the very same source chose: its retry or resume keeps it.

    None if there was none, or if it ended because of the model: then the job may get another version.
    """
    if not folder.has("spec") or not folder.has("source"):
        return None
    earlier, source = folder.load("spec", JobSpec), folder.load("source", SourceRecord)
    if source.identity != identity or any(getattr(earlier, name) != getattr(spec, name) for name in _DECIDING):
        return None
    failure = folder.failure()
    if failure is not None and failure.code in (QualityRefused.code, ModelRejected.code):
        return None
    return Choice(model=source.model, reason=source.model_reason, level=source.level, degradation=source.degradation)


def _facts(spec: JobSpec, video: VideoInfo, degradation: Degradation) -> Facts:
    return Facts(
        scale=spec.scale,
        content=spec.content,
        tenant=spec.tenant,
        degradation=degradation if spec.restore is None else degradation.at(spec.restore),
        width=video.width,
        height=video.height,
    )


def _stated(spec: JobSpec, degradation: Degradation) -> str:
    if spec.restore is None:
        return str(degradation)
    return f"{degradation.at(spec.restore)} as asked for"


def _level(entry: ModelEntry, spec: JobSpec, degradation: Degradation | None) -> float:
    if entry.card.level is None:
        return 0.0
    if spec.restore is not None:
        return spec.restore
    return degradation.told if degradation is not None else 0.0


def _require_fit(entry: ModelEntry, spec: JobSpec, settings: Settings) -> None:
    entry.require_scale(spec.scale)
    require_licence(entry, settings)
    if entry.card.kind == "style" and entry.card.name not in load_routing(settings).styles_allowed:
        raise LicenceNotAllowed(
            f"The style {entry.label} is not in this deployment's catalogue.",
            hint="Add it to styles_allowed in routing.yaml, if its style may be used.",
        )
    if spec.restore and entry.card.level is None:
        raise UsageError(
            f"restore={spec.restore:g} was asked for, but {entry.label} removes no noise or compression on demand.",
            hint="Leave it empty or 0, or choose a model whose card has a level.",
        )
