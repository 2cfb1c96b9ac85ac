"""The rule over a candidate: take it back, promote it, or go on watching. Pure arithmetic on what jobs told.

Four tests share the chance of taking back a version that is as good as production; each holds however often it is
looked at, so the rule may be asked after every job. Quality, speed and break-offs are bets against "no worse"
(Waudby-Smith and Ramdas: Estimating means of bounded random variables by betting, JRSS-B 86, 2024): while it holds,
what a gambler has never reaches 1 / chance with more than that chance (Ville), whatever the distribution of what is bet
on. Failures are Fisher's exact test at fixed numbers of jobs, the chance divided among them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from sr_tasks.release.policy import Promotion, WatchRule

LOOKS: Final = {8: 0.03, 16: 0.03, 32: 0.06, 64: 0.08, 128: 0.12, 256: 0.18, 512: 0.25, 1024: 0.25}
"""Numbers of the candidate's jobs at which failures are compared, and each one's part of the chance: little early on,
where only a candidate that fails nearly always can be told."""

_STAKES: Final = (0.1, 0.25, 0.5, 0.75)
"""Parts of the purse."""
_MAX_STAKE: Final = 0.9
_PRIOR: Final = 0.05
"""Mean square of a gain before the first job told anything."""


Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What jobs told since the candidate is out, one value a job, in the order they ended."""

    differences_db: Floats
    """PSNR of the candidate less production's on the very same frames, whichever of them did the job."""
    seconds_ratios: Floats
    """Seconds of the candidate over production's on those frames."""
    broke_off: Flags
    """Of the jobs in which one version alone could not do those frames: whether it was the candidate."""
    is_candidate: Flags
    """Which version did each job that tells something of its version."""
    is_failed: Flags
    """Whether that job failed by the model's fault."""


class Judgement(BaseModel):
    """What the rule says and the figures it says it by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["watch", "rollback", "promote"]
    reasons: tuple[str, ...]
    paired_jobs: int
    mean_difference_db: float | None
    """Clipped as the rule counts it."""
    quality_evidence: float
    """Against "no worse": 1 / chance is a breach."""
    median_seconds_ratio: float | None
    speed_evidence: float
    break_offs: int
    """Of the candidate alone on frames that production could do."""
    break_off_evidence: float
    candidate_jobs: int
    candidate_failures: int
    production_jobs: int
    production_failures: int
    failure_p: float
    """Smallest of the looks, before it is divided among them."""
    false_rollback_chance: float


def judge_candidate(evidence: Evidence, rule: WatchRule, promotion: Promotion) -> Judgement:
    """Rollback on a breach; promote where the policy is auto, enough jobs were seen and none of the figures is worse;
    else watch."""
    ratios = evidence.seconds_ratios
    clipped = np.clip(evidence.differences_db, -rule.quality_clip_db, rule.quality_clip_db)
    speed = 1.0
    if rule.speed_ratio_max is not None:
        speed = majority_evidence(ratios > rule.speed_ratio_max, rule.minimum_jobs)
    failure_p, is_failing = failure_test(
        evidence.is_candidate, evidence.is_failed, rule.failure_chance, rule.minimum_jobs
    )
    judgement = Judgement(
        decision="watch",
        reasons=(),
        paired_jobs=len(clipped),
        mean_difference_db=round(float(clipped.mean()), 4) if len(clipped) else None,
        quality_evidence=loss_evidence(clipped, rule.quality_margin_db, rule.quality_clip_db, rule.minimum_jobs),
        median_seconds_ratio=round(float(np.median(ratios)), 3) if len(ratios) else None,
        speed_evidence=speed,
        break_offs=int(evidence.broke_off.sum()),
        break_off_evidence=majority_evidence(evidence.broke_off, 1),
        failure_p=failure_p,
        false_rollback_chance=rule.false_rollback_chance,
        **_counts(evidence),
    )
    reasons = tuple(_breaches(judgement, rule, is_failing))
    if reasons:
        return judgement.model_copy(update={"decision": "rollback", "reasons": reasons})
    return _promoted(judgement, rule, promotion)


def _breaches(judgement: Judgement, rule: WatchRule, is_failing: bool) -> Iterator[str]:
    if judgement.quality_evidence >= 1 / rule.quality_chance:
        yield (
            f"On the same frames the candidate gives {judgement.mean_difference_db or 0.0:+.3f} dB against production "
            f"over {judgement.paired_jobs} jobs; a mean loss of {rule.quality_margin_db:g} dB is allowed."
        )
    if is_failing:
        yield (
            f"{judgement.candidate_failures} of {judgement.candidate_jobs} jobs of the candidate failed, "
            f"{judgement.production_failures} of {judgement.production_jobs} of production."
        )
    if judgement.break_off_evidence >= 1 / rule.break_off_chance:
        yield f"In {judgement.break_offs} jobs the candidate could not do frames that production could."
    if judgement.speed_evidence >= 1 / rule.speed_chance:
        yield (
            f"The candidate takes {judgement.median_seconds_ratio} times production's seconds; "
            f"{rule.speed_ratio_max} times are allowed."
        )


def loss_evidence(clipped: Floats, margin: float, clip: float, minimum: int) -> float:
    """The most that was ever held in bets that the mean of `clipped` (within -clip..clip) is below -margin.

    Half of the purse is staked by what earlier jobs suggest, half in fixed parts. No bet can lose more than is staked.
    """
    if len(clipped) < minimum:
        return 1.0
    gains = -(clipped + margin) / (clip + margin)
    count = np.arange(2, len(gains) + 2)
    mean = np.concatenate([[0.0], (np.cumsum(gains) / count)[:-1]])
    square = np.concatenate([[_PRIOR], ((_PRIOR + np.cumsum(gains**2)) / count)[:-1]])
    stakes = np.clip(mean / square, 0.0, _MAX_STAKE)
    suggested = np.exp(np.cumsum(np.log1p(stakes * gains)))
    fixed = np.mean([np.exp(np.cumsum(np.log1p(stake * gains))) for stake in _STAKES], axis=0)
    return float((suggested + fixed)[minimum - 1 :].max() / 2)


def majority_evidence(events: Flags, minimum: int) -> float:
    """The most that was ever held in bets that the event happens in more than half of the jobs."""
    if len(events) < minimum:
        return 1.0
    gains = np.where(events, 1.0, -1.0)
    purse = np.mean([np.exp(np.cumsum(np.log1p(stake * gains))) for stake in _STAKES], axis=0)
    return float(purse[minimum - 1 :].max())


def failure_test(is_candidate: Flags, is_failed: Flags, chance: float, minimum: int) -> tuple[float, bool]:
    """The smallest p of Fisher's exact test (candidate fails more often) at the looks so far, and whether any was below
    its part of the `chance`."""
    smallest, is_breach = 1.0, False
    ends = np.flatnonzero(is_candidate) + 1
    for look, part in LOOKS.items():
        if minimum <= look <= len(ends):
            end = int(ends[look - 1])
            failures = int(np.sum(is_failed[:end] & is_candidate[:end]))
            p = fisher_p(look, failures, end - look, int(np.sum(is_failed[:end])) - failures)
            smallest, is_breach = min(smallest, p), is_breach or p <= chance * part
    return smallest, is_breach


def fisher_p(jobs: int, failures: int, other_jobs: int, other_failures: int) -> float:
    """Chance of at least `failures` among `jobs`, if all failures fell on all jobs alike."""
    total, failed = jobs + other_jobs, failures + other_failures
    least, most = max(failures, jobs - (total - failed)), min(jobs, failed)
    ways = _log_choose(total, jobs)
    chances = (
        math.exp(_log_choose(failed, k) + _log_choose(total - failed, jobs - k) - ways) for k in range(least, most + 1)
    )
    return min(1.0, math.fsum(chances))


def _log_choose(of: int, many: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(many + 1) - math.lgamma(of - many + 1)


def _counts(evidence: Evidence) -> dict[str, int]:
    jobs, failures = int(evidence.is_candidate.sum()), int((evidence.is_candidate & evidence.is_failed).sum())
    return {
        "candidate_jobs": jobs,
        "candidate_failures": failures,
        "production_jobs": len(evidence.is_candidate) - jobs,
        "production_failures": int(evidence.is_failed.sum()) - failures,
    }


def _promoted(judgement: Judgement, rule: WatchRule, promotion: Promotion) -> Judgement:
    """The same with the decision to promote, if the policy leaves that to the rule and the figures allow it."""
    if promotion.by != "auto" or judgement.mean_difference_db is None:
        return judgement
    enough = (
        judgement.paired_jobs >= max(promotion.after_jobs, rule.minimum_jobs)
        and judgement.candidate_jobs >= promotion.after_candidate_jobs
    )
    is_slow = (
        rule.speed_ratio_max is not None
        and judgement.median_seconds_ratio is not None
        and judgement.median_seconds_ratio > rule.speed_ratio_max
    )
    if not enough or is_slow or judgement.mean_difference_db < -rule.quality_margin_db or _fails_more(judgement):
        return judgement
    reason = (
        f"{judgement.paired_jobs} jobs without a breach, {judgement.mean_difference_db:+.3f} dB on the same frames, "
        f"{judgement.candidate_failures} of {judgement.candidate_jobs} jobs of the candidate failed."
    )
    return judgement.model_copy(update={"decision": "promote", "reasons": (reason,)})


def _fails_more(judgement: Judgement) -> bool:
    """Whether the candidate's failures are doubtful at one in ten, which is too many to promote on."""
    return (
        fisher_p(
            judgement.candidate_jobs,
            judgement.candidate_failures,
            judgement.production_jobs,
            judgement.production_failures,
        )
        < 0.1
    )
