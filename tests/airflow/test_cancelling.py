"""Cancelling a job whose task starts in the same moment. The order of the events is fixed by a stand-in for Airflow."""

from dataclasses import dataclass, field

import pytest
from sr_embedded import enhance


@dataclass
class Airflow:
    """What its API answers. The first request to cancel comes before the scheduler wrote that a task is queued."""

    escapes: int
    asked: int = 0
    states: list[str] = field(default_factory=lambda: ["running"])

    def cancel(self, job_id: str) -> bool:
        self.asked += 1
        if self.is_idle(job_id):
            self.states.append("failed")
        return True

    def is_idle(self, job_id: str) -> bool:
        return self.asked > self.escapes

    def has_ended(self, job_id: str) -> bool:
        return self.states[-1] == "failed"


@dataclass
class Job:
    client: Airflow
    job_id: str = "clip-x2"

    def is_airflow_alive(self) -> bool:
        return True


@pytest.mark.parametrize("escapes", [0, 1, 3])
def test_a_task_that_escapes_the_first_request_to_cancel_is_stopped_by_a_later_one(
    escapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enhance, "ASK_AGAIN_S", 0.01)
    airflow = Airflow(escapes)
    enhance.cancel(Job(airflow))
    assert airflow.has_ended("clip-x2")


def test_a_job_that_never_began_is_not_waited_for() -> None:
    asked: list[str] = []

    class Nothing(Airflow):
        def cancel(self, job_id: str) -> bool:
            asked.append(job_id)
            return False

    enhance.cancel(Job(Nothing(escapes=0)))
    assert asked == ["clip-x2"]
