"""Channels: which version jobs get, what may be decided, and that every decision is kept and survives a crash."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sr_tasks.config import Settings
from sr_tasks.errors import LicenceNotAllowed, ModelRejected, ModelUnknown, TargetUnwritable, UsageError
from sr_tasks.registry.channels import is_drawn
from sr_tasks.registry.registry import Registry
from tests.graphs.sample_models import write_model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Versions 1, 2 and 3 of one model, the first of them in production."""
    registry = Registry(tmp_path)
    for version in ("1", "2", "3"):
        write_model(tmp_path, "cubic", version)
        registry.promote("cubic@1", by="ann")
    return registry


def share_of(registry: Registry, version: str) -> float:
    """Of 4000 jobs, as the channels on disk say."""
    channels = registry.channels("cubic")
    return sum(channels.version_for("cubic", f"job-{n}") == version for n in range(4000)) / 4000


def test_production_is_what_a_bare_name_gives_and_outlives_the_process(registry: Registry, tmp_path: Path) -> None:
    registry.promote("cubic@2", by="ann", reason="sharper")
    again = Registry(tmp_path)
    assert again.get("cubic").label == "cubic@2"
    assert again.resolve("cubic", "any job")[0].label == "cubic@2"
    last = again.channels("cubic").history[-1]
    assert (last.action, last.version, last.by, last.reason) == ("promote", "2", "ann", "sharper")


def test_a_candidate_gets_its_share_of_jobs_and_each_job_always_the_same_version(registry: Registry) -> None:
    registry.put_candidate("cubic@3", share=0.1, by="ann")
    # Five standard deviations of a fair draw.
    assert abs(share_of(registry, "3") - 0.1) < 5 * math.sqrt(0.1 * 0.9 / 4000)
    jobs = [f"job-{n}" for n in range(60)]
    drawn = {job: registry.resolve("cubic", job) for job in jobs}
    assert {job: registry.resolve("cubic", job) for job in jobs} == drawn
    reasons = {(entry.label, reason) for entry, reason in drawn.values()}
    assert reasons == {("cubic@1", "production"), ("cubic@3", "candidate, which 10 % of jobs get")}


def test_a_version_that_was_promoted_stays_when_a_newer_one_is_laid_beside_it(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic", "1")
    registry = Registry(tmp_path)
    registry.promote("cubic@1", by="ann")
    write_model(tmp_path, "cubic", "2")
    assert registry.get("cubic").label == "cubic@1"


def test_a_larger_share_keeps_the_jobs_of_the_smaller_one() -> None:
    jobs = [f"job-{n}" for n in range(2000)]
    drawn = [{job for job in jobs if is_drawn(share, "cubic", "3", job)} for share in (0.1, 0.5)]
    assert drawn[0] < drawn[1]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (1.0, 1.0)])
def test_no_job_and_every_job_are_shares_too(registry: Registry, share: float, expected: float) -> None:
    registry.put_candidate("cubic@3", share=share, by="ann")
    assert share_of(registry, "3") == expected


def test_draws_of_two_models_do_not_meet_the_same_jobs() -> None:
    jobs = [f"job-{n}" for n in range(2000)]
    both = [job for job in jobs if is_drawn(0.5, "a", "2", job) and is_drawn(0.5, "b", "2", job)]
    assert 0.2 < len(both) / len(jobs) < 0.3


def test_promoting_the_candidate_ends_the_candidacy(registry: Registry) -> None:
    registry.put_candidate("cubic@2", share=0.2, shadow=0.01, by="ann")
    channels = registry.promote("cubic@2", by="ann")
    assert (channels.production, channels.candidate, channels.share, channels.shadow) == ("2", None, 0.0, 0.0)


@pytest.mark.parametrize(
    "again",
    [
        lambda registry: registry.promote("cubic@2", by="ann"),
        lambda registry: registry.put_candidate("cubic@3", share=0.2, by="ann"),
        lambda registry: registry.retire("cubic@1", by="ann"),
        lambda registry: registry.rollback("cubic@1", by="rule"),
    ],
    ids=["promote", "candidate", "retire", "rollback of what is not in use"],
)
def test_deciding_the_same_again_changes_nothing(
    registry: Registry, tmp_path: Path, again: Callable[[Registry], Any]
) -> None:
    registry.promote("cubic@2", by="ann")
    registry.put_candidate("cubic@3", share=0.2, by="ann")
    registry.retire("cubic@1", by="ann")
    before = (tmp_path / "cubic" / "channels.yaml").read_bytes()
    again(registry)
    assert (tmp_path / "cubic" / "channels.yaml").read_bytes() == before


def test_rollback_withdraws_a_candidate_first_and_production_after_it(registry: Registry) -> None:
    registry.promote("cubic@2", by="ann")
    registry.put_candidate("cubic@3", share=0.2, by="ann")
    assert registry.rollback("cubic", by="ann").candidate is None
    assert registry.get("cubic").label == "cubic@2"
    assert registry.rollback("cubic", by="ann").production == "1"
    with pytest.raises(UsageError, match="nothing was production before"):
        registry.rollback("cubic", by="ann")


def test_rollbacks_walk_back_through_what_was_production(registry: Registry) -> None:
    for version in ("2", "1", "3"):
        registry.promote(f"cubic@{version}", by="ann")
    walked = [registry.rollback("cubic", by="ann").production for _ in range(3)]
    assert walked == ["1", "2", "1"]
    registry.promote("cubic@3", by="ann")
    assert registry.rollback("cubic", by="ann").production == "1"


def test_the_same_alarm_raised_twice_takes_back_one_version(registry: Registry) -> None:
    registry.put_candidate("cubic@3", share=0.2, by="ann")
    first = registry.rollback("cubic@3", by="rule", reason="0.3 dB worse")
    assert first.candidate is None
    assert registry.rollback("cubic@3", by="rule", reason="0.3 dB worse") == first
    assert registry.get("cubic").label == "cubic@1"


def test_rollback_does_not_go_back_to_a_retired_version(registry: Registry) -> None:
    registry.promote("cubic@2", by="ann")
    registry.promote("cubic@3", by="ann")
    registry.retire("cubic@2", by="ann")
    assert registry.rollback("cubic", by="ann").production == "1"


def test_a_retired_version_is_refused_to_new_jobs_and_found_by_those_that_began_with_it(registry: Registry) -> None:
    registry.put_candidate("cubic@2", share=0.5, by="ann")
    channels = registry.retire("cubic@2", by="ann")
    assert (channels.candidate, channels.retired) == (None, ("2",))
    assert share_of(registry, "2") == 0
    with pytest.raises(ModelUnknown, match="was retired"):
        registry.resolve("cubic@2", "job")
    assert registry.get("cubic@2").label == "cubic@2"
    assert registry.resolve("cubic@3", "job")[0].label == "cubic@3"


@pytest.mark.parametrize(
    ("decide", "error", "said"),
    [
        (lambda r: r.promote("cubic@9", by="x"), ModelUnknown, "cubic@9"),
        (lambda r: r.promote("square@1", by="x"), ModelUnknown, "square@1"),
        (lambda r: r.promote("cubic", by="x"), UsageError, "names no version"),
        (lambda r: r.promote("cubic@3", by="x"), UsageError, "3 is retired"),
        (lambda r: r.put_candidate("cubic@3", share=0.1, by="x"), UsageError, "3 is retired"),
        (lambda r: r.put_candidate("cubic@1", share=0.1, by="x"), UsageError, "1 is production"),
        (lambda r: r.put_candidate("cubic@2", share=1.1, by="x"), UsageError, r"share 1\.1"),
        (lambda r: r.put_candidate("cubic@2", share=-0.1, by="x"), UsageError, r"share -0\.1"),
        (lambda r: r.put_candidate("cubic@2", share=math.nan, by="x"), UsageError, "share nan"),
        (lambda r: r.put_candidate("cubic@2", share=0.1, shadow=2, by="x"), UsageError, "shadow 2"),
        (lambda r: r.retire("cubic@1", by="x"), UsageError, "1 is production"),
        (lambda r: r.rollback("cubic", by="x"), UsageError, "nothing was production before"),
    ],
)
def test_what_cannot_be_decided_is_refused_and_changes_nothing(
    registry: Registry, tmp_path: Path, decide: Callable[[Registry], Any], error: type[Exception], said: str
) -> None:
    registry.retire("cubic@3", by="ann")
    before = (tmp_path / "cubic" / "channels.yaml").read_bytes()
    with pytest.raises(error, match=said):
        decide(registry)
    assert (tmp_path / "cubic" / "channels.yaml").read_bytes() == before


def test_a_candidate_must_do_all_that_production_does(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic", "1")
    write_model(tmp_path, "cubic", "2", max_passes=1)
    registry = Registry(tmp_path)
    registry.promote("cubic@1", by="ann")
    with pytest.raises(UsageError, match="cannot enlarge 4 times"):
        registry.put_candidate("cubic@2", share=0.1, by="ann")


def test_a_version_whose_licence_is_not_allowed_is_not_released(tmp_path: Path) -> None:
    write_model(tmp_path, "cubic", "1")
    write_model(tmp_path, "cubic", "2", licence="CC-BY-NC-4.0")
    registry = Registry.of(Settings(models_dir=tmp_path, allowed_licences=("Apache-2.0",)))
    registry.promote("cubic@1", by="ann")
    for decide in (
        lambda: registry.promote("cubic@2", by="ann"),
        lambda: registry.put_candidate("cubic@2", share=0.1, by="ann"),
    ):
        with pytest.raises(LicenceNotAllowed, match=r"CC-BY-NC-4\.0"):
            decide()
    assert registry.retire("cubic@2", by="ann").retired == ("2",)


@pytest.mark.parametrize(
    "changes",
    [
        {"production": "9"},
        {"candidate": "9", "share": 0.1},
        {"candidate": "1"},
        {"share": 0.5},
        {"candidate": "2", "share": 7},
        {"retired": ["1"]},
        {"canary": "2"},
    ],
)
def test_channels_written_by_hand_that_make_no_sense_are_rejected(
    registry: Registry, tmp_path: Path, changes: dict[str, object]
) -> None:
    path = tmp_path / "cubic" / "channels.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))
    with pytest.raises(ModelRejected, match="channels"):
        registry.get("cubic")
    assert registry.get("cubic@2").label == "cubic@2"


def test_many_processes_deciding_at_once_lose_no_decision(tmp_path: Path, child: Callable[..., Any]) -> None:
    for version in range(1, 6):
        write_model(tmp_path, "cubic", str(version))
    prepare = "from pathlib import Path; from sr_tasks.registry.registry import Registry; r = Registry(Path(args[0]))"
    children = [child(prepare, "r.retire('cubic@' + args[1], by='child')", tmp_path, n) for n in range(1, 5)]
    for one in children:
        one.wait_ready()
    for one in children:
        one.go()
    for one in children:
        one.answer()
    channels = Registry(tmp_path).channels("cubic")
    assert sorted(channels.retired) == ["1", "2", "3", "4"]
    assert sorted(c.version for c in channels.history if c.action == "retire") == ["1", "2", "3", "4"]


def test_a_registry_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "cubic", "1")
    write_model(tmp_path / "models", "cubic", "2")
    (tmp_path / "models" / "cubic" / "channels.yaml").mkdir()
    with pytest.raises((TargetUnwritable, ModelRejected), match=r"channels\.yaml"):
        Registry(tmp_path / "models").promote("cubic@1", by="ann")
