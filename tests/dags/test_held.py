"""Which held messages are let go, by counts alone, however many there are."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sr_airflow.arrivals import held
from sr_airflow.arrivals.held import HeldMessages


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sets(st.integers(0, 30), min_size=1, max_size=3), max_size=260), st.sets(st.integers(0, 30)))
def test_a_message_is_let_go_when_all_of_its_jobs_are_accepted(
    monkeypatch: pytest.MonkeyPatch, messages: list[set[int]], there: set[int]
) -> None:
    asked: list[int] = []

    def accepted(job_ids: list[str]) -> int:
        asked.append(len(job_ids))
        return len(set(job_ids) & {str(job) for job in there})

    monkeypatch.setattr(held, "accepted", accepted)
    waiting: HeldMessages[int] = HeldMessages(patience_s=1000)
    for number, jobs in enumerate(messages):
        waiting.hold(number, frozenset(map(str, jobs)))
    done, late = asyncio.run(waiting.released())
    assert done == [number for number, jobs in enumerate(messages) if jobs <= there]
    assert late == []
    assert len(waiting) == len(messages) - len(done)


def test_what_waits_too_long_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "accepted", lambda job_ids: 0)
    waiting: HeldMessages[str] = HeldMessages(patience_s=-1)
    waiting.hold("message", frozenset({"job"}))
    assert asyncio.run(waiting.released()) == ([], ["message"])
    assert len(waiting) == 0
