"""Admission: the limits hold, nobody is idle who may go, in order, whoever dies. Airflow is a set of ids here."""

import os
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.admission import FORGOTTEN_AFTER_S, LOOK_EVERY_S, Admissions, Applicant, Limits, chosen


def job(name: str, *, weight: int = 0, tenant: str = "", accepted_s: float = 0.0) -> Applicant:
    return Applicant(job_id=name, tenant=tenant, weight=weight, accepted_s=accepted_s)


def limits(at_once: int = 4, **tenants: int) -> Limits:
    return Limits(at_once=at_once, tenants=tenants)


class Deployment:
    """Jobs that ask in turn, an Airflow that knows who lives, and a clock that is set by hand."""

    def __init__(self, workdir: Path, allowed: Limits) -> None:
        self.workdir, self.allowed = workdir, allowed
        self.live: set[str] = set()
        self.questions = 0
        self.admissions = Admissions(workdir)

    def count(self, job_ids: list[str]) -> int:
        self.questions += 1
        return len(self.live & set(job_ids))

    def ask(self, applicant: Applicant) -> bool:
        """As a trigger does that has waited: the last look is a while ago."""
        look = self.workdir / "admission" / "look.json"
        if look.exists():
            past = time.time() - 2 * LOOK_EVERY_S
            os.utime(look, (past, past))
        return self.admissions.ask(applicant, self.allowed, self.count)

    def come(self, applicant: Applicant) -> bool:
        self.live.add(applicant.job_id)
        return self.ask(applicant)

    def silent_for(self, applicant: Applicant, seconds: float) -> None:
        """Nobody has asked for this job for so long."""
        for path in (self.workdir / "admission").glob("[0-9a-f]*.json"):
            if Applicant.model_validate_json(path.read_text()).job_id == applicant.job_id:
                os.utime(path, (time.time() - seconds, time.time() - seconds))


@pytest.fixture
def four(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path, limits(4))


_TENANTS = ("", "acme", "beta")
_ROWS = st.lists(st.tuples(st.sampled_from(_TENANTS), st.integers(-3, 3)), max_size=14)
_APPLICANTS = _ROWS.map(
    lambda rows: [job(f"job-{n}", tenant=tenant, weight=weight) for n, (tenant, weight) in enumerate(rows)]
)
_LIMITS = st.builds(
    lambda at_once, acme, others: Limits(at_once=at_once, tenants={"acme": acme}, others=others),
    st.integers(1, 5),
    st.integers(1, 3),
    st.none() | st.integers(1, 3),
)


def allowed_of(tenant: str, allowed: Limits) -> int:
    named = {"acme": allowed.tenants["acme"]}.get(tenant, allowed.others)
    return allowed.at_once if named is None else named


@settings(deadline=None)
@given(_APPLICANTS, _LIMITS, st.integers(0, 14))
def test_those_chosen_keep_every_limit_leave_nobody_out_who_may_go_and_are_the_best(
    applicants: list[Applicant], allowed: Limits, cut: int
) -> None:
    admitted: list[Applicant] = []
    for one in applicants[:cut]:
        if sum(1 for other in admitted if other.tenant == one.tenant) < allowed_of(one.tenant, allowed):
            admitted.append(one)
    admitted = admitted[: allowed.at_once]
    waiting = [one for one in applicants if one not in admitted]
    going = chosen(waiting, admitted, allowed)
    work = Counter(one.tenant for one in [*admitted, *going])
    assert len(admitted) + len(going) <= allowed.at_once
    assert all(work[tenant] <= allowed_of(tenant, allowed) for tenant in _TENANTS)
    left = [one for one in waiting if one not in going]
    if len(admitted) + len(going) < allowed.at_once:
        assert all(work[one.tenant] == allowed_of(one.tenant, allowed) for one in left), "somebody could go"
    for one in left:
        worse = [other for other in going if other.weight < one.weight]
        assert not worse or work[one.tenant] == allowed_of(one.tenant, allowed), "overtaken without reason"
        assert all(other.tenant != one.tenant for other in worse), "overtaken within a tenant"


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_APPLICANTS, _LIMITS, st.data())
def test_whatever_comes_ends_or_dies_the_limits_hold_and_all_get_their_turn(
    tmp_path_factory: pytest.TempPathFactory, applicants: list[Applicant], allowed: Limits, data: st.DataObject
) -> None:
    deployment = Deployment(tmp_path_factory.mktemp("deployment"), allowed)
    to_come, waiting, working, done = list(applicants), list[Applicant](), list[Applicant](), 0
    while to_come or waiting or working:
        steps = [name for name, there in (("come", to_come), ("ask", waiting), ("end", working)) if there]
        match data.draw(st.sampled_from(steps)):
            case "come":
                one = to_come.pop()
                (working if deployment.come(one) else waiting).append(one)
            case "ask":
                one = data.draw(st.sampled_from(waiting))
                if deployment.ask(one):
                    waiting.remove(one)
                    working.append(one)
            case "end":
                one = data.draw(st.sampled_from(working))
                working.remove(one)
                deployment.live.remove(one.job_id)
                done += 1
        work = Counter(one.tenant for one in working)
        assert len(working) <= allowed.at_once
        assert all(work[tenant] <= allowed_of(tenant, allowed) for tenant in _TENANTS)
        # Once everybody has asked, in whatever order, nobody waits who could go.
        for one in sorted(waiting, key=lambda one: one.job_id, reverse=True) * 2:
            if one in waiting and deployment.ask(one):
                waiting.remove(one)
                working.append(one)
        work = Counter(one.tenant for one in working)
        assert len(working) == allowed.at_once or all(
            work[one.tenant] == allowed_of(one.tenant, allowed) for one in waiting
        )
    assert done == len(applicants)


def test_those_that_wait_go_by_weight_and_then_by_when_they_came(four: Deployment) -> None:
    first = [job(f"first-{n}") for n in range(4)]
    assert all(four.come(one) for one in first)
    waiting = [
        job("late", weight=5, accepted_s=20.0), job("low", weight=1), job("early", weight=5, accepted_s=10.0),
        job("high", weight=9),
    ]  # fmt: skip
    assert not any(four.come(one) for one in waiting)
    assert [four.admissions.ahead_of(one.job_id) for one in waiting] == [2, 3, 1, 0]
    order = []
    for one in first:
        four.live.remove(one.job_id)
        order += [other.job_id for other in waiting if four.ask(other) and other.job_id not in order]
    assert order == ["high", "early", "late", "low"]


def test_a_job_that_has_room_goes_at_once_and_asking_again_changes_nothing(four: Deployment) -> None:
    one = job("one")
    assert four.come(one)
    assert four.ask(one)
    assert four.admissions.ahead_of("one") is None
    assert sum(four.come(job(f"more-{n}")) for n in range(8)) == 3


def test_a_tenant_at_its_limit_holds_up_nobody_else(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(4, acme=1))
    assert deployment.come(job("acme-1", tenant="acme", weight=9))
    assert not deployment.come(job("acme-2", tenant="acme", weight=9))
    assert deployment.come(job("beta-1", tenant="beta"))
    assert deployment.come(job("nobody's"))


def test_a_job_that_waits_and_is_asked_for_by_nobody_any_more_holds_up_nobody_else(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    working, orphan, other = job("working"), job("orphan", weight=9), job("other")
    assert [deployment.come(one) for one in (working, orphan, other)] == [True, False, False]
    deployment.live.remove("working")
    assert not deployment.ask(other), "it is the turn of another"
    deployment.silent_for(orphan, FORGOTTEN_AFTER_S + 1)
    assert deployment.ask(other)
    deployment.live.remove("other")
    third = job("third")
    assert not deployment.ask(orphan), "others may come back with it, whom it must not overtake"
    assert not deployment.come(third), "it is asked for again, and has kept its turn"
    assert deployment.ask(orphan)


def test_on_a_machine_so_slow_that_all_are_silent_between_turns_the_best_still_goes(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    working, worse, best = job("working"), job("worse"), job("best", weight=9)
    assert [deployment.come(one) for one in (working, worse, best)] == [True, False, False]
    deployment.live.remove("working")
    admitted: list[str] = []
    for _ in range(3):
        for one in (worse, best):
            for each in (worse, best):
                deployment.silent_for(each, FORGOTTEN_AFTER_S + 5)
            if deployment.ask(one):
                admitted.append(one.job_id)
    assert admitted[:1] == ["best"]


def test_a_job_that_is_asked_for_again_after_a_silence_is_not_passed_over(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    working, silent, other = job("working"), job("silent", weight=9), job("other")
    assert [deployment.come(one) for one in (working, silent, other)] == [True, False, False]
    deployment.silent_for(silent, FORGOTTEN_AFTER_S + 1)
    assert not deployment.ask(silent)
    deployment.live.remove("working")
    assert not deployment.ask(other), "it is the turn of another"


def test_whoever_dies_keeps_no_place_though_nobody_gives_it_back(four: Deployment) -> None:
    for n in range(4):
        four.come(job(f"dead-{n}"))
    waiting = job("waiting")
    assert not four.come(waiting)
    four.live = {"waiting"}
    assert four.ask(waiting)
    assert len(list((four.workdir / "admission").glob("[0-9a-f]*.json"))) == 1, "nothing is kept of the others"


def test_a_job_that_is_cancelled_while_it_waits_is_not_let_in(four: Deployment) -> None:
    for n in range(4):
        four.come(job(f"working-{n}"))
    cancelled = job("cancelled")
    assert not four.come(cancelled)
    four.live = {"cancelled-is-not-among-these"}
    assert not four.ask(cancelled)
    four.live = {f"new-{n}" for n in range(4)}
    assert all(four.ask(job(f"new-{n}")) for n in range(4))


def test_a_failed_job_that_is_run_again_asks_again(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    failed, next_one = job("failed", weight=-1), job("next")
    assert deployment.come(failed)
    deployment.live.remove("failed")
    assert deployment.come(next_one)
    assert not deployment.come(failed), "its old place was given to another"


def test_a_job_whose_later_tasks_alone_are_run_again_counts(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    deployment.live.add("cleared")
    deployment.admissions.count(job("cleared"))
    assert not deployment.come(job("other"))


def test_a_job_that_waits_for_a_person_makes_room_and_counts_again_when_it_goes_on(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    parked, other, third = job("parked"), job("other"), job("third")
    assert deployment.come(parked)
    deployment.admissions.release("parked")
    assert deployment.come(other)
    deployment.admissions.count(parked)
    deployment.live.remove("other")
    assert not deployment.come(third)


def test_however_many_wait_one_look_serves_them_all(four: Deployment) -> None:
    waiting = [job(f"job-{n}") for n in range(60)]
    for one in waiting:
        four.come(one)
    before = four.questions
    look = four.workdir / "admission" / "look.json"
    os.utime(look, (time.time() + 600, time.time() + 600))  # of this moment, however slow the machine
    asked = [four.admissions.ask(one, four.allowed, four.count) for one in waiting]
    assert sum(asked) == 4
    assert four.questions == before, "the last look was a moment ago, and found no room"


def test_a_file_that_is_damaged_costs_a_place_in_the_queue_and_nothing_else(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, limits(1))
    assert deployment.come(job("one"))
    assert not deployment.come(job("two"))
    for path in (tmp_path / "admission").glob("*.json"):
        path.write_text("{")
    deployment.live.remove("one")
    assert deployment.ask(job("two"))


@pytest.mark.parametrize("wrong", ["acme", "acme=", "=2", "acme=0", "acme=-1", "acme=two", "acme=1:acme=2", "acme=²"])
def test_a_limit_that_is_none_is_refused_by_what_was_written(wrong: str) -> None:
    with pytest.raises(UsageError) as refused:
        Limits.of(Settings.from_env({"SR_TENANT_LIMITS": wrong}))
    assert wrong.rpartition(":")[2] in refused.value.message


def test_room_for_no_job_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="SR_JOBS_AT_ONCE='0'"):
        Limits.of(Settings.from_env({"SR_JOBS_AT_ONCE": "0"}))


def test_limits_are_read_as_they_are_written() -> None:
    found = Limits.of(Settings.from_env({"SR_JOBS_AT_ONCE": "6", "SR_TENANT_LIMITS": "acme=1:beta=2:*=3"}))
    assert [found.of_tenant(tenant) for tenant in ("acme", "beta", "other", "")] == [1, 2, 3, 3]
    assert Limits.of(Settings.from_env({"SR_TENANT_LIMITS": "acme=1"})).of_tenant("") == 4
