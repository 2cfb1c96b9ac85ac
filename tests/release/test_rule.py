"""The rule: a candidate as good as production stays, a worse one goes, within the numbers of jobs that are stated."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from sr_tasks.release.policy import Promotion, WatchRule, load_policy
from sr_tasks.release.rule import Evidence, fisher_p, judge_candidate, loss_evidence

SEEDS = 1000
RULE, PERSON, AUTO = WatchRule(), Promotion(), Promotion(by="auto")


def evidence(
    seed: int, *, jobs: int, share: float = 0.2, loss_db: float = 0.0, spread_db: float = 0.15, slower: float = 1.0,
    failing: float = 0.02, candidate_failing: float | None = None, breaking_off: float = 0.0,
) -> Evidence:  # fmt: skip
    """`jobs` that any version did. Differences have heavy tails, as content has: Student's t of 4 degrees."""
    rng = np.random.default_rng(seed)
    paired = min(jobs, 512)
    is_candidate = rng.random(jobs) < share
    chances = np.where(is_candidate, failing if candidate_failing is None else candidate_failing, failing)
    return Evidence(
        differences_db=-loss_db + spread_db * rng.standard_t(4, paired) / np.sqrt(2),
        seconds_ratios=slower * np.exp(rng.normal(0.0, 0.12, paired)),
        broke_off=rng.random(int(rng.binomial(paired, breaking_off))) < 1.0,
        is_candidate=is_candidate,
        is_failed=rng.random(jobs) < chances,
    )


def rolled_back(seeds: int = SEEDS, **circumstances: Any) -> float:
    """Share of seeds in which the candidate is taken back."""
    judged = (judge_candidate(evidence(seed, **circumstances), RULE, PERSON) for seed in range(seeds))
    return sum(one.decision == "rollback" for one in judged) / seeds


@pytest.mark.parametrize(
    "circumstances",
    [
        {"jobs": 1024},
        {"jobs": 1024, "spread_db": 0.5, "share": 0.5, "failing": 0.1},
        {"jobs": 1024, "loss_db": 0.02, "slower": 1.25},  # on the very margins, still no worse
    ],
)
def test_an_equal_candidate_is_taken_back_in_at_most_2_percent_of_1000_seeds(circumstances: dict[str, Any]) -> None:
    assert RULE.false_rollback_chance <= 0.02
    assert rolled_back(**circumstances) <= 0.02


@pytest.mark.parametrize(
    "circumstances",
    [
        pytest.param({"jobs": 128, "loss_db": 0.1}, id="0.1 dB worse: 128 jobs"),
        pytest.param({"jobs": 16, "loss_db": 1.0, "spread_db": 0.5}, id="1 dB worse: 16 jobs"),
        pytest.param({"jobs": 32, "slower": 1.6}, id="1.6 times as slow: 32 jobs"),
        pytest.param({"jobs": 1024, "share": 0.5, "candidate_failing": 0.12}, id="10 % more failures: 1024 jobs"),
        pytest.param(
            {"jobs": 5400, "share": 0.2, "candidate_failing": 0.07}, id="5 % more failures: 5400 jobs at 20 %"
        ),
        pytest.param({"jobs": 24, "breaking_off": 0.98}, id="cannot do the frames: 24 jobs"),
    ],
)
def test_a_worse_candidate_is_taken_back_within_the_stated_jobs_in_95_percent_of_1000_seeds(
    circumstances: dict[str, Any],
) -> None:
    assert rolled_back(**circumstances) >= 0.95


def test_what_was_a_breach_once_stays_one_whatever_comes_after() -> None:
    """A rule that is asked every 15 minutes must not answer by luck of the moment."""
    bad = evidence(1, jobs=200, loss_db=0.2)
    good = evidence(2, jobs=200, loss_db=-0.3)
    both = Evidence(**{name: np.concatenate([getattr(bad, name), getattr(good, name)]) for name in vars(bad)})
    assert judge_candidate(bad, RULE, PERSON).decision == "rollback"
    assert judge_candidate(both, RULE, AUTO).decision == "rollback"


def test_nothing_is_decided_on_fewer_jobs_than_the_minimum() -> None:
    few = evidence(3, jobs=7, loss_db=3.0, slower=9.0, candidate_failing=1.0)
    assert judge_candidate(few, RULE, AUTO).decision == "watch"


def test_the_bets_never_win_more_than_fair_on_the_edge_of_no_loss() -> None:
    """Ville: of purses that start at 1 in a fair game at most one in twenty ever holds 20."""
    reached = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        coin = np.where(rng.random(400) < 0.05, -0.4, 0.4 * 0.05 / 0.95 - 0.02 / 0.95)  # mean -0.02, skewed
        reached += loss_evidence(np.clip(coin, -0.4, 0.4), 0.02, 0.4, 8) >= 20
    assert reached / SEEDS <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SEEDS)


@pytest.mark.parametrize("table", [(16, 4, 64, 1), (8, 0, 8, 3), (1024, 70, 4000, 90), (5, 5, 0, 0)])
def test_failures_are_compared_by_fishers_exact_test(table: tuple[int, int, int, int]) -> None:
    jobs, failures, other_jobs, other_failures = table
    counts = [[failures, jobs - failures], [other_failures, other_jobs - other_failures]]
    assert fisher_p(*table) == pytest.approx(stats.fisher_exact(counts, "greater").pvalue, rel=1e-6)


def test_auto_promotes_a_candidate_that_is_not_worse_after_enough_jobs_and_a_person_does_not_have_to() -> None:
    good = evidence(4, jobs=200, loss_db=-0.05)
    assert judge_candidate(good, RULE, AUTO).decision == "promote"
    assert judge_candidate(good, RULE, PERSON).decision == "watch"
    assert judge_candidate(evidence(4, jobs=40, loss_db=-0.05), RULE, AUTO).decision == "watch"
    assert judge_candidate(evidence(4, jobs=200, share=0.0, loss_db=-0.05), RULE, AUTO).decision == "watch"
    assert judge_candidate(evidence(4, jobs=70, loss_db=0.06), RULE, AUTO).decision != "promote"


def test_a_speed_that_the_policy_does_not_judge_takes_nothing_back() -> None:
    slow = evidence(5, jobs=100, slower=3.0)
    assert judge_candidate(slow, RULE, PERSON).decision == "rollback"
    assert judge_candidate(slow, WatchRule(speed_ratio_max=None), PERSON).decision == "watch"


def test_a_policy_beside_the_versions_overrides_the_defaults_and_a_wrong_one_is_refused(tmp_path: Any) -> None:
    from sr_tasks.errors import UsageError

    folder = tmp_path / "sample"
    folder.mkdir()
    assert load_policy(tmp_path, "sample").watch.quality_margin_db == RULE.quality_margin_db
    (folder / "release.yaml").write_text("watch: {quality_margin_db: 0.5}\ngolden: {class_loss_db: 1}\n")
    policy = load_policy(tmp_path, "sample")
    assert (policy.watch.quality_margin_db, policy.golden.class_loss_db) == (0.5, 1.0)
    (folder / "release.yaml").write_text("watch: {quality_margin: 0.5}\n")
    with pytest.raises(UsageError, match="quality_margin"):
        load_policy(tmp_path, "sample")
