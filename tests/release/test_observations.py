"""Observations: what is stored of jobs, and what two versions' observations add up to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.errors import UsageError
from sr_tasks.registry.channels import started
from sr_tasks.release import observations as module
from sr_tasks.release.observations import Observation, Observations, PairedFrame, candidate_since, evidence

START = datetime(2026, 1, 1, tzinfo=UTC)


def seen(job: str, version: str = "2", minute: int = 0, **more: Any) -> Observation:
    return Observation(name="net", version=version, job_id=job, at=START + timedelta(minutes=minute), **more)


def pair(own: float, other: float, ratio: float = 1.0) -> PairedFrame:
    return PairedFrame(own_psnr=own, other_psnr=other, own_seconds=ratio, other_seconds=1.0)


def test_a_job_observed_twice_counts_once_and_the_last_word_holds(tmp_path: Path) -> None:
    store = Observations(tmp_path)
    store.put(seen("job-1", error_code="CHUNK_FAILED"))
    store.put(seen("job-1", minute=5))
    store.put(seen("job-1", minute=6, kind="shadow", chunk=3))
    found = store.of("net", "2")
    assert [(one.kind, one.error_code) for one in found] == [("job", ""), ("shadow", "")]
    assert store.of("net", "1") == []


def test_observations_are_given_in_order_of_time_and_from_a_moment_on(tmp_path: Path) -> None:
    store = Observations(tmp_path)
    for minute in (4, 1, 3):
        store.put(seen(f"job-{minute}", minute=minute))
    assert [one.job_id for one in store.of("net", "2")] == ["job-1", "job-3", "job-4"]
    assert [one.job_id for one in store.of("net", "2", START + timedelta(minutes=3))] == ["job-3", "job-4"]


def test_a_damaged_file_is_left_out_and_does_not_hide_the_others(tmp_path: Path) -> None:
    store = Observations(tmp_path)
    store.put(seen("job-1")).write_text('{"name": ')
    store.put(seen("job-2"))
    assert [one.job_id for one in store.of("net", "2")] == ["job-2"]


def test_only_so_many_are_kept_of_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    store = Observations(tmp_path)
    for number in range(6):
        store.put(seen(f"job-{number}", minute=number))
    assert [one.job_id for one in store.of("net", "2")] == ["job-3", "job-4", "job-5"]


@pytest.mark.parametrize("job", ["../up", "a/b", ".hidden", ""])
def test_a_job_id_never_leads_out_of_the_folder(job: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Observations(tmp_path).put(seen(job))


def test_pairs_of_both_versions_jobs_speak_of_the_candidate() -> None:
    """The candidate is 0.5 dB worse and takes twice the time, whichever version did the job."""
    candidate = [seen("a", "2", other="1", pairs=(pair(30.0, 30.5, 2.0), pair(40.0, 40.5, 2.0)))]
    production = [seen("b", "1", other="2", pairs=(pair(30.5, 30.0, 0.5),))]
    told = evidence(candidate, production)
    assert told.differences_db.tolist() == [-0.5, -0.5]
    assert told.seconds_ratios.tolist() == [2.0, 2.0]


def test_a_shadowed_chunk_adds_to_its_jobs_difference_and_is_no_outcome() -> None:
    production = [
        seen("b", "1", other="2", pairs=(pair(31.0, 30.0),)),
        seen("b", "1", kind="shadow", chunk=0, other="2", pairs=(pair(33.0, 30.0),)),
    ]
    told = evidence([], production)
    assert told.differences_db.tolist() == [-2.0]
    assert told.is_candidate.tolist() == [False]


def test_pairings_with_a_third_version_are_left_out() -> None:
    candidate = [seen("a", "2", other="1", pairs=(pair(30.0, 30.0),))]
    production = [seen("b", "1", other="7", pairs=(pair(10.0, 30.0),))]
    assert evidence(candidate, production).differences_db.tolist() == [0.0]


def test_failures_count_only_if_the_model_may_be_to_blame() -> None:
    codes = ["", "QUALITY_REFUSED", "CHUNK_FAILED", "DISK_FULL", "INPUT_DAMAGED", "JOB_CANCELLED"]
    told = evidence([seen(f"job-{n}", minute=n, error_code=code) for n, code in enumerate(codes)], [])
    assert told.is_failed.tolist() == [False, True, True]


def test_a_version_that_alone_breaks_off_is_told_of_the_candidate_by_side() -> None:
    candidate = [seen("a", "2", other="1", broke_off="own"), seen("b", "2", minute=1, other="1", broke_off="other")]
    production = [seen("c", "1", minute=2, other="2", broke_off="other")]
    assert evidence(candidate, production).broke_off.tolist() == [True, False, True]


def test_a_candidacy_begins_anew_after_a_rollback_and_not_with_a_new_share() -> None:
    channels = started("1", by="t")
    assert candidate_since(channels) is None
    channels = channels.with_candidate("2", share=0.1, by="t").rolled_back(by="t")
    channels = channels.with_candidate("2", share=0.1, by="t")
    first = channels.history[-1].at
    channels = channels.with_candidate("2", share=0.5, by="t")
    history = [
        change.model_copy(update={"at": START + timedelta(hours=n)}) for n, change in enumerate(channels.history)
    ]
    channels = channels.model_copy(update={"history": tuple(history)})
    assert [change.action for change in history] == ["start", "candidate", "rollback", "candidate", "candidate"]
    assert candidate_since(channels) == START + timedelta(hours=3) != first
