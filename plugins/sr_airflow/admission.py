"""The task that lets a job in at its turn, and the trigger it waits by. Who is next, `sr_tasks.jobs.admission` says."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from sr_airflow.arrivals.inbox import live
from sr_airflow.fairness import applicant
from sr_airflow.job import running_step
from sr_tasks.config import Settings
from sr_tasks.errors import SrError
from sr_tasks.jobs.admission import LOOK_EVERY_S, Admissions, Applicant, Limits
from sr_tasks.jobs.status import Task

log = logging.getLogger(__name__)


class Admit(BaseOperator):
    """Ends once its job may go on; if not at once, it waits without holding a worker, for as long as it takes."""

    def execute(self, context: Any) -> None:
        with running_step() as step:
            _ = step.spec  # a request that is none need not wait to be told so
            asking = applicant(context["dag_run"], step.params)
            is_admitted = _ask(asking, step.settings)
        if not is_admitted:
            log.info("The job waits to be admitted: as many are at work as may be, at all or of its tenant.")
            self.defer(trigger=AdmissionTrigger(asking.model_dump(mode="json")), method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Not called by a scheduler, for which the trigger ends the task itself; `dag.test()` comes by here."""


class AdmissionTrigger(BaseTrigger):
    """Asks for its job every other second, and ends the task when it was admitted. Limits are read where it runs."""

    def __init__(self, asking: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.asking = asking

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__qualname__}", {"asking": self.asking}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        asking = Applicant.model_validate(self.asking)
        while not await asyncio.to_thread(_is_admitted, asking):
            await asyncio.sleep(LOOK_EVERY_S)
        yield TaskSuccessEvent()


def _is_admitted(asking: Applicant) -> bool:
    try:
        return _ask(asking, Settings.from_env())
    except SrError as exc:
        log.warning("%s is asked for again: %s: %s", asking.job_id, exc.code, exc)
        return False


def _ask(asking: Applicant, settings: Settings) -> bool:
    return Admissions(settings.workdir).ask(asking, Limits.of(settings), live)


def admit_task(settings: Settings) -> Admit:
    """The task `admit`. Raises UsageError for limits that cannot be meant."""
    Limits.of(settings)
    return Admit(task_id=Task.ADMIT.value, execution_timeout=None)
