"""Which job goes first, when it is due, and by what name its cause goes: the pure rules."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.failure import fingerprint
from sr_tasks.jobs.spec import job_spec

_NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
_REQUESTS = st.one_of(
    st.none(),
    st.dictionaries(
        st.sampled_from(["priority", "deadline_minutes"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.integers()), st.just("high")),
    ),
)


def _weight(priority: str, hours: float = 0.0) -> int:
    from sr_airflow.fairness import weight

    return weight({"priority": priority}, _NOON + timedelta(hours=hours))


def test_a_high_priority_goes_before_what_came_up_to_four_hours_earlier() -> None:
    assert _weight("high", 3.9) > _weight("normal") > _weight("high", 4.1)


def test_a_low_priority_waits_for_what_comes_in_twelve_hours_and_for_no_more() -> None:
    assert _weight("normal", 11.9) > _weight("low") > _weight("normal", 12.1)


def test_within_a_priority_the_first_come_goes_first() -> None:
    for priority in ("low", "normal", "high"):
        assert _weight(priority) > _weight(priority, 0.1)


@settings(deadline=None)
@given(_REQUESTS, st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_the_policy_never_raises_in_the_scheduler_and_fits_its_column(request: Any, accepted_at: datetime) -> None:
    import airflow_local_settings as policy

    task = SimpleNamespace(dag_id="upscale_video", priority_weight=1)
    policy.task_instance_mutation_hook(task, dag_run=SimpleNamespace(conf=request, run_after=accepted_at))
    assert -(2**31) <= task.priority_weight < 0


def test_the_policy_leaves_other_dags_and_runs_it_does_not_know_alone() -> None:
    import airflow_local_settings as policy

    run = SimpleNamespace(conf={"priority": "high"}, run_after=_NOON)
    for dag_id, dag_run in (("release_model", run), ("upscale_video", None)):
        task = SimpleNamespace(dag_id=dag_id, priority_weight=7)
        policy.task_instance_mutation_hook(task, dag_run=dag_run)
        assert task.priority_weight == 7


@settings(deadline=None)
@given(_REQUESTS)
def test_a_deadline_never_raises_where_a_run_is_created(request: Any) -> None:
    from sr_airflow.deadlines import due_at

    due = due_at(request, _NOON, Settings(deadline_normal_minutes=5.0))
    assert due is None or due > _NOON


@pytest.mark.parametrize(
    ("request_", "minutes"),
    [
        ({}, 60.0),
        ({"priority": "high"}, 10.0),
        ({"priority": "low"}, None),
        ({"priority": "low", "deadline_minutes": 3}, 3.0),
        ({"priority": "high", "deadline_minutes": None}, 10.0),
    ],
)
def test_a_job_is_due_as_it_says_itself_else_as_its_priority_says(
    request_: dict[str, Any], minutes: float | None
) -> None:
    from sr_airflow.deadlines import due_at

    chosen = Settings(deadline_high_minutes=10.0, deadline_normal_minutes=60.0)
    assert due_at(request_, _NOON, chosen) == (None if minutes is None else _NOON + timedelta(minutes=minutes))


def test_a_number_of_minutes_past_any_calendar_is_no_deadline() -> None:
    from sr_airflow.deadlines import due_at

    assert due_at({"deadline_minutes": 10**30}, _NOON, Settings()) is None


def test_a_run_that_was_started_again_has_its_whole_time_again() -> None:
    from sr_airflow.deadlines import is_over

    now = datetime.now(UTC)
    run = SimpleNamespace(clear_number=0, run_after=now - timedelta(hours=2), start_date=now)
    assert is_over(run, {"deadline_minutes": 60}, Settings())
    run.clear_number = 1
    assert not is_over(run, {"deadline_minutes": 60}, Settings())


@pytest.mark.parametrize("values", [{"priority": "urgent"}, {"deadline_minutes": 0}, {"deadline_minutes": 43201}])
def test_a_priority_or_deadline_that_is_none_is_refused_by_name(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        job_spec({"source": "clip.mp4", **values})
    assert next(iter(values)) in refused.value.message


def test_one_cause_has_one_fingerprint_whatever_the_file_and_the_number() -> None:
    one = fingerprint("X", "upscale", "Frame 12 of '/a/b.mp4' is 3.5 dB below s3://bucket/key, id 0badcafe1.")
    other = fingerprint("X", "upscale", "Frame 7 of 'c d.mkv' is 0.1 dB below s3://else/where, id deadbeef77.")
    assert one == other
    assert len(one) == 12


@pytest.mark.parametrize(
    "other", [("Y", "upscale", "It broke."), ("X", "assess", "It broke."), ("X", "upscale", "It tore.")]
)
def test_another_code_place_or_sentence_is_another_cause(other: tuple[str, str, str]) -> None:
    assert fingerprint(*other) != fingerprint("X", "upscale", "It broke.")
