"""The task that lets jobs in, and the trigger it waits by, on an Airflow of which the test says who lives."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from sr_tasks.errors import AirflowUnavailable
from sr_tasks.jobs.admission import Admissions, Applicant, Limits
from tests.dags.fakes import FakeSteps


class Others:
    """Jobs of somebody else that are at work, until Airflow was asked for them so many times."""

    def __init__(self, workdir: Path, count: int) -> None:
        self.ids = {f"other-{number}" for number in range(count)}
        self.asked_left = 3
        self.breaks = False
        for job_id in self.ids:
            Admissions(workdir).count(Applicant(job_id=job_id, weight=0, accepted_s=0.0))

    def live(self, job_ids: list[str]) -> int:
        if self.breaks:
            self.breaks = False
            raise AirflowUnavailable("Airflow does not answer.")
        self.asked_left -= 1
        if self.asked_left <= 0:
            self.ids.clear()
        return sum(1 for job_id in job_ids if job_id in self.ids or not job_id.startswith("other-"))


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Others:
    found = Others(tmp_path, 4)
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    monkeypatch.setattr("sr_airflow.admission.live", found.live)
    monkeypatch.setattr("sr_airflow.admission.LOOK_EVERY_S", 0.01)
    return found


@pytest.fixture
def step_does(steps: FakeSteps, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Have a step do something of the test's."""

    def put(name: str, does: Callable[[], object]) -> None:
        module = getattr(sys.modules["sr_tasks.steps"], name)
        known = module.run
        monkeypatch.setattr(module, "run", lambda *given: (does(), known(*given))[1])

    return put


def test_a_job_that_comes_when_all_places_are_taken_begins_once_one_is_free(
    others: Others, step_does: Callable[..., None], run_dag: Callable[..., Any]
) -> None:
    at_work: list[set[str]] = []
    step_does("validate", lambda: at_work.append(set(others.ids)))
    assert run_dag().state == "success"
    assert at_work == [set()]


def test_the_trigger_ends_the_task_at_its_jobs_turn_whatever_airflow_answers_meanwhile(others: Others) -> None:
    from sr_airflow.admission import AdmissionTrigger

    asking = Applicant(job_id="mine", weight=0, accepted_s=0.0)
    kind, stored = AdmissionTrigger(asking.model_dump(mode="json")).serialize()
    assert kind == "sr_airflow.admission.AdmissionTrigger"
    others.breaks = True

    async def events() -> list[Any]:
        return [event async for event in AdmissionTrigger(**stored).run()]

    assert asyncio.run(events()) == [TaskSuccessEvent()]
    assert others.ids == set()
    again = asyncio.run(events())
    assert again == [TaskSuccessEvent()], "a triggerer that was killed before it told is asked again"


def test_every_step_of_a_job_counts_it(
    step_does: Callable[..., None], run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    """As when somebody runs its later tasks again, long after it ended and its place was given away."""
    let_in: list[bool] = []

    def forget() -> None:
        for path in (tmp_path / "admission").glob("*.json"):
            path.unlink()

    def another_asks() -> None:
        another = Applicant(job_id="another", weight=0, accepted_s=0.0)
        let_in.append(Admissions(tmp_path).ask(another, Limits(at_once=1, tenants={}), len))

    step_does("prepare_model", forget)
    step_does("assemble", another_asks)
    assert run_dag().state == "success"
    assert let_in == [False]
