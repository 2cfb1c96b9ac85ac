"""A job through the seam and its callbacks in the order Airflow calls them, without a database or a scheduler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from sr_tasks.config import Settings

Work = Callable[[Any], Any]
"""The body of a task: takes what `running_step` gives."""
MAX_TRIES = 3


@dataclass
class Job:
    """Runs its tasks, each as (task_id, chunk, body), until one fails for good; then what Airflow does about it."""

    tasks: Sequence[tuple[str, int | None, Work]]
    conf: dict[str, Any] = field(default_factory=lambda: {"source": "a.mp4"})
    job_id: str = "job 1"
    tries: dict[str, int] = field(default_factory=dict)
    """How often each task was tried."""

    def run(self) -> str:
        """The state that the run ends in."""
        from sr_airflow.alerts.callbacks import job_failed, job_succeeded

        from sr_tasks.steps import clean

        now = datetime.now(UTC)
        run = SimpleNamespace(run_id=self.job_id, run_after=now, start_date=now, clear_number=0, conf=self.conf)
        is_done = all(self._is_done(task_id, chunk, work, run) for task_id, chunk, work in self.tasks)
        clean.run(self.job_id, Settings.from_env(), failed=not is_done)
        (job_succeeded if is_done else job_failed)({"run_id": self.job_id, "dag_run": run})
        return "success" if is_done else "failed"

    def _is_done(self, task_id: str, chunk: int | None, work: Work, run: Any) -> bool:
        from airflow.sdk.execution_time.context import set_current_context
        from sr_airflow.job import running_step

        for attempt in range(1, MAX_TRIES + 2):
            self.tries[task_id] = attempt
            ti = SimpleNamespace(
                dag_id="upscale_video",
                task_id=task_id,
                run_id=self.job_id,
                map_index=-1 if chunk is None else chunk,
                try_number=attempt,
                max_tries=MAX_TRIES,
                task=SimpleNamespace(queue="default"),
            )
            context: Any = {"ti": ti, "params": self.conf, "dag_run": run}
            try:
                with set_current_context(context), running_step() as step:
                    work(step)
            except AirflowFailException:
                return False
            except Exception:  # noqa: S112 (Airflow tries it again)
                continue
            return True
        return False


def failing(error: Exception) -> Job:
    """Chunk 3 raises the error at every try."""

    def work(step: Any) -> None:
        raise error

    return Job(tasks=[("upscale", 3, work)])
