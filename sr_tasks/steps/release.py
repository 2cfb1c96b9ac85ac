"""The steps of a release: a version is measured, held against production, put out as candidate, promoted or taken back.

Each step may be repeated. The watch over a candidate that is out is `sr_tasks.release.watch`.
"""

from datetime import UTC, datetime
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.errors import QualityRefused, UsageError
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.registry import Registry
from sr_tasks.release import watch
from sr_tasks.release.golden.measure import measured, prepare_all
from sr_tasks.release.policy import load_policy
from sr_tasks.release.record import Begun, ReleaseRecords
from sr_tasks.release.report import reported
from sr_tasks.release.request import ReleaseRequest


def run(request: ReleaseRequest, by: str, settings: Settings) -> dict[str, Any]:
    """The whole release up to the candidate, which jobs and `release_watch` then decide about. For the command line.

    Raises QualityRefused for a version that stays behind production; the report is kept.
    """
    label = register(request, settings)["model"]
    optimised = optimise(label, settings)
    evaluate(label, settings)
    compared = compare_with_production(label, settings)
    begun = begin(label, request, by, settings)
    return {"model": label, **optimised, **compared, **begun}


def register(request: ReleaseRequest, settings: Settings) -> dict[str, Any]:
    """The version as `name@version`, added to the registry if weights are brought. Raises what adding raises."""
    registry = Registry.of(settings)
    if not request.weights:
        version = request.version or (registry.versions(request.name) or ("",))[-1]
        return {"model": registry.get(f"{request.name}@{version}").label}
    from sr_tasks.intake.add import add_model  # loads torch, which a version that is there does without
    from sr_tasks.intake.request import AddRequest

    added = AddRequest(
        name=request.name,
        version=request.version or None,
        licence=request.licence or None,
        source=request.source or None,
    )
    return {"model": add_model(request.weights, added, registry, settings).label}


def optimise(label: str, settings: Settings) -> dict[str, Any]:
    """Prepare the version for this deployment's device and prove it. Raises ModelRejected."""
    return {"device": prepare_all(Registry.of(settings).get(label), settings)}


def evaluate(label: str, settings: Settings) -> dict[str, Any]:
    """Measure the version on the golden set, and production too; figures that are there already stay."""
    entry = Registry.of(settings).get(label)
    record = measured(entry, settings)
    other = _production_beside(entry, settings)
    if other is not None:
        measured(other, settings)
    return {
        "psnr": {str(one.scale): round(sum(i.psnr for i in one.items) / len(one.items), 2) for one in record.scores}
    }


def compare_with_production(label: str, settings: Settings) -> dict[str, Any]:
    """Leave the release report, as page and JSON. Raises QualityRefused if the version stays behind production."""
    entry = Registry.of(settings).get(label)
    other = _production_beside(entry, settings)
    comparison, path = reported(entry, other, settings)
    if not comparison.accepted:
        raise QualityRefused(
            f"{label} was not released. {' '.join(comparison.reasons[:3])}", hint=f"The report is kept: {path}."
        )
    return {"report": path, "production": comparison.production, "difference_db": comparison.mean_difference_db}


def begin(label: str, request: ReleaseRequest, by: str, settings: Settings) -> dict[str, Any]:
    """Put the version out as candidate. A model's first version is production from the start: nothing is left to do."""
    registry, (name, _, version) = Registry.of(settings), label.partition("@")
    channels = registry.channels(name)
    if channels.production == version:
        return {"channel": "production", "share": 1.0, "shadow": 0.0}
    policy = load_policy(settings.models_dir, name)
    policy = policy.model_copy(update={"promotion": policy.promotion.model_copy(update={"by": request.policy})})
    ReleaseRecords(settings.state_dir, name, version).begin(
        Begun(
            name=name, version=version, at=datetime.now(UTC), by=by, share=request.share, shadow=request.shadow,
            policy=policy,
        )
    )  # fmt: skip
    registry.put_candidate(label, share=request.share, shadow=request.shadow, by=by, reason="release")
    return {"channel": "candidate", "share": request.share, "shadow": request.shadow}


def promote(label: str, by: str, settings: Settings) -> dict[str, Any]:
    """A person's word. Raises UsageError if the rule, or somebody, took the candidate back meanwhile."""
    name, _, version = label.partition("@")
    channels = Registry.of(settings).channels(name)
    if version not in (channels.candidate, channels.production):
        ended = ReleaseRecords(settings.state_dir, name, version).ended()
        why = f" {' '.join(ended.reasons)}" if ended else ""
        raise UsageError(
            f"{label} is not the candidate any more.{why}", hint="Release it again if it should have another try."
        )
    return watch.decide(label, "promote", by, ("A person decided.",), settings).model_dump(mode="json")


def roll_back(label: str, by: str, settings: Settings) -> dict[str, Any]:
    """A person's word against the candidate. What is no candidate any more stays as it is."""
    name, _, version = label.partition("@")
    if Registry.of(settings).channels(name).candidate != version:
        return {"version": version, "decision": "none"}
    return watch.decide(label, "rollback", by, ("A person decided.",), settings).model_dump(mode="json")


def outcome(label: str, settings: Settings) -> str | None:
    """`promote` or `rollback` once the candidacy has ended, after asking the rule once more; None while it goes on."""
    name, _, version = label.partition("@")
    watch.consider(name, settings)
    channels = Registry.of(settings).channels(name)
    if channels.candidate == version:
        return None
    return "promote" if channels.production == version else "rollback"


def _production_beside(entry: ModelEntry, settings: Settings) -> ModelEntry | None:
    """What jobs get now, unless that is this very version."""
    production = Registry.of(settings).get(entry.card.name)
    return None if production.label == entry.label else production
