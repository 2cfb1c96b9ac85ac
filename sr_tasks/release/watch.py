"""The watch over candidates: asks the rule, and does what it says. A rollback needs nobody's consent."""

from datetime import UTC, datetime

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.registry.registry import Registry
from sr_tasks.release.observations import Observations, candidate_since, evidence
from sr_tasks.release.policy import ReleasePolicy, load_policy
from sr_tasks.release.record import Ended, ReleaseRecords
from sr_tasks.release.rule import Judgement, judge_candidate
from sr_tasks.telemetry.statsd import Instruments

RULE = "rule"


def consider(name: str, settings: Settings) -> Judgement | None:
    """Ask the rule about the candidate of a model and do what it says; None if there is no candidate."""
    judged = judge(name, settings)
    if judged is None:
        return None
    version, judgement = judged
    if judgement.decision != "watch":
        decide(f"{name}@{version}", judgement.decision, RULE, judgement.reasons, settings, judgement)
    return judgement


def judge(name: str, settings: Settings) -> tuple[str, Judgement] | None:
    """The candidate's version and what the rule says of it. Changes nothing."""
    channels = Registry.of(settings).channels(name)
    if channels.candidate is None:
        return None
    policy = _policy(name, channels.candidate, settings)
    since = candidate_since(channels)
    observations = Observations(settings.state_dir)
    found = evidence(
        observations.of(name, channels.candidate, since), observations.of(name, channels.production, since)
    )
    return channels.candidate, judge_candidate(found, policy.watch, policy.promotion)


def decide(
    label: str, decision: str, by: str, reasons: tuple[str, ...], settings: Settings, judgement: Judgement | None = None
) -> Ended:
    """End a candidacy: change the channels, count, log, leave a record. Done twice it ends in the same place."""
    registry, (name, _, version) = Registry.of(settings), label.partition("@")
    reason = " ".join(reasons)
    with Instruments(settings) as instruments:
        if decision == "promote":
            channels = registry.promote(label, by=by, reason=reason)
            instruments.release_promoted()
            logger.info("{} is production now, by {}: {}", label, by, reason)
        else:
            channels = registry.rollback(label, by=by, reason=reason)
            instruments.release_rolled_back()
            logger.critical(
                "{} was taken back by {}; production is {}@{}. {}", label, by, name, channels.production, reason
            )
    ended = Ended(
        name=name,
        version=version,
        decision="promote" if decision == "promote" else "rollback",
        at=datetime.now(UTC),
        by=by,
        reasons=reasons,
        production=channels.production,
        judgement=judgement,
    )
    ReleaseRecords(settings.state_dir, name, version).end(ended)
    return ended


def _policy(name: str, version: str, settings: Settings) -> ReleasePolicy:
    """The one the candidate was begun with; a candidate put out by hand has the model's own."""
    begun = ReleaseRecords(settings.state_dir, name, version).begun()
    return begun.policy if begun is not None else load_policy(settings.models_dir, name)
