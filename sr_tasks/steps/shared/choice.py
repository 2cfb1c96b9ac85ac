"""Which version of which model a job gets, why, and what the model is told of the source. Decided once a job, in
`validate`; changes nothing."""

from dataclasses import dataclass
from pathlib import Path

from sr_tasks.config import Settings
from sr_tasks.errors import LicenceNotAllowed, ModelRejected, QualityRefused, UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import AUTO, JobSpec
from sr_tasks.media.degradation import measure_frames
from sr_tasks.media.filtering import require_format
from sr_tasks.records.degradation import Degradation
from sr_tasks.records.job import SourceRecord
from sr_tasks.records.media import MediaInfo, VideoInfo
from sr_tasks.registry.licences import require_licence
from sr_tasks.registry.registry import ModelEntry, Registry
from sr_tasks.registry.routing import SCALES, Facts, load_routing
from sr_tasks.steps.shared.confined import confined
from sr_tasks.steps.shared.first_look import measured
from sr_tasks.steps.shared.source import first_bounds
from sr_tasks.steps.shared.still import luma_of

_DECIDING = (
    "source", "scale", "size", "model", "restore", "denoise", "deblock", "deband", "sharpen", "content", "tenant"
)  # fmt: skip
"""Fields of a request that the choice depends on."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What `SourceRecord` says of the model."""

    model: str
    reason: str
    level: float
    degradation: Degradation | None
    filters: str = ""
    """Of FFmpeg, for the picture plan."""


def require_possible(spec: JobSpec, settings: Settings) -> None:
    """Raises what can be said against the model before the source is looked at."""
    if spec.model == AUTO:
        if spec.size is None:
            load_routing(settings).require_scale(min(scale for scale in SCALES if scale >= spec.scale))
    else:
        _require_allowed(Registry.of(settings).get(spec.model), spec, settings)


def choose(spec: JobSpec, path: Path, media: MediaInfo, job_id: str, settings: Settings) -> Choice:
    """For a job that begins. The source is measured only if something depends on it.

    Raises RoutesInvalid, ModelUnknown, ScaleUnsupported, LicenceNotAllowed, and UsageError for a restoration that the
    model cannot do.
    """
    registry = Registry.of(settings)
    degradation: Degradation | None = None
    name, why = spec.model, "asked for"
    if spec.model == AUTO or spec.restoration.removes_errors:
        degradation = _measured(path, media, settings)
    if spec.model == AUTO and degradation is not None:
        name, route = load_routing(settings).choose(_facts(spec, media.video, degradation))
        why = f"auto: {_stated(spec, degradation)}, scale {spec.network_scale(media.video)} -> {name}, {route}"
    entry, channel = registry.resolve(name, job_id)
    entry.require_scale(spec.network_scale(media.video, entry.card.scales))
    _require_allowed(entry, spec, settings)
    if entry.card.level is not None and spec.restore is None and degradation is None:
        degradation = _measured(path, media, settings)
    level = _level(entry, spec, degradation)
    is_told = entry.card.level is not None and spec.restoration.suits_network
    filters = spec.restoration.filters(degradation, media.video.bit_depth, is_told=is_told)
    if spec.grain != "off" and media.still is not None:
        raise UsageError(
            f"{path.name} is a still picture, and grain={spec.grain} is for videos alone.", hint="Leave grain off."
        )
    if filters and media.still is not None:
        raise UsageError(
            f"{path.name} is a still picture, and FFmpeg's filters {filters} are for videos alone.",
            hint="Leave deband and sharpen off, and let `model` be auto or one that is told a level.",
        )
    require_format(filters, media.video.pix_fmt)
    why = f"{why}, {channel}" if channel != why else why
    return Choice(
        model=entry.label,
        reason=f"{why}; filters before it: {filters}" if filters else why,
        level=level,
        degradation=degradation,
        filters=filters,
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
    return Choice(
        model=source.model, reason=source.model_reason, level=source.level, degradation=source.degradation,
        filters=source.media.picture.filters,
    )  # fmt: skip


def _facts(spec: JobSpec, video: VideoInfo, degradation: Degradation) -> Facts:
    return Facts(
        scale=spec.network_scale(video),
        content=spec.content,
        tenant=spec.tenant,
        degradation=_to_choose_for(spec, degradation),
        width=video.width,
        height=video.height,
    )


def _to_choose_for(spec: JobSpec, degradation: Degradation) -> Degradation:
    """What the model is chosen for: what was measured, unless something else was asked for or filters do it."""
    if spec.restore is not None:
        return degradation.at(spec.restore)
    if not spec.restoration.removes_errors:
        return degradation
    if not spec.restoration.suits_network:
        return degradation.at(0.0)
    return degradation.at(max(degradation.level, spec.restoration.level(degradation)))


def _stated(spec: JobSpec, degradation: Degradation) -> str:
    if spec.restore is not None:
        return f"{degradation.at(spec.restore)} as asked for"
    if spec.restoration.suits_network:
        return f"{degradation}, to be removed {spec.restoration.level(degradation):.1f}"
    return str(degradation)


def _level(entry: ModelEntry, spec: JobSpec, degradation: Degradation | None) -> float:
    if entry.card.level is None:
        return 0.0
    if spec.restore is not None:
        return spec.restore
    if spec.restoration.removes_errors and degradation is not None:
        return spec.restoration.level(degradation) if spec.restoration.suits_network else 0.0
    return degradation.told if degradation is not None else 0.0


def _require_allowed(entry: ModelEntry, spec: JobSpec, settings: Settings) -> None:
    if spec.size is None and spec.scale in SCALES:
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
