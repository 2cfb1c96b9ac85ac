"""Who goes first, on a real Airflow: by priority, within limits, past jobs that are cancelled and processes that die.

The pool of devices has no slot until a test gives it one, so jobs that were let in stay at work, and cost nothing.
"""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sr_tasks.jobs.status import Status, from_airflow
from tests import clips
from tests.airflow.launcher import Launcher, states
from tests.airflow.test_unattended import until

pytestmark = pytest.mark.airflow

_PATIENCE_S = 600.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("stack"), SR_JOBS_AT_ONCE="2", SR_TENANT_LIMITS="acme=1")
    try:
        done = launcher.run("up")
        assert done.returncode == 0, done.stderr
        yield launcher
    finally:
        launcher.run("down")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.make(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=8)


@pytest.fixture
def submit(stack: Launcher, clip: Path, tmp_path: Path) -> Iterator[Any]:
    """Submits a job that will be at work until there is a device; whatever is left in the end is cancelled."""
    client = stack.client()
    client.set_pool(0)

    def submitted(job: str, **fields: Any) -> str:
        values = {"source": str(clip), "output": str(tmp_path / f"{job}.mp4"), "model": "bicubic"}
        client.trigger(job, values | fields)
        return job

    yield submitted
    for job in client.active_runs():
        client.cancel(job)
    until(lambda: not client.active_runs(), _PATIENCE_S)
    client.close()


def waits(stack: Launcher, job: str) -> bool:
    """Whether it waits to be let in, and nothing of it was begun."""
    tasks = stack.client().tasks(job)
    is_parked = any(task["task_id"] == "admit" and task["state"] == "deferred" for task in tasks)
    if is_parked:
        status = from_airflow(stack.client().run_state(job), tasks)
        assert (status.status, status.phase) == (Status.PENDING, "accepted")
        assert {task["state"] for task in tasks if task["task_id"] != "admit"} == {None}
    return is_parked


def is_at_work(stack: Launcher, job: str) -> bool:
    return states(stack.client(), job).get("admit", ("", 0))[0] == "success"


def killed(stack: Launcher, name: str) -> None:
    """Kill a component of the stack with all it started, and see the supervisor start it again."""

    def running() -> dict[int, psutil.Process]:
        found = {}
        for process in psutil.Process(stack.session()).children():
            with contextlib.suppress(psutil.Error):
                if name in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found[process.pid] = process
        return found

    before = until(running, _PATIENCE_S)
    family = [each for process in before.values() for each in (process, *process.children(recursive=True))]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    until(lambda: running().keys() - {process.pid for process in family}, _PATIENCE_S)


def test_limits_hold_and_the_best_goes_first_past_whoever_is_cancelled(stack: Launcher, submit: Any) -> None:
    client = stack.client()
    first, acme = submit("first"), submit("acme-1", tenant="acme")
    until(lambda: is_at_work(stack, first) and is_at_work(stack, acme), _PATIENCE_S)
    second = submit("acme-2", tenant="acme", priority="high")
    others = [submit("low", priority="low"), submit("normal"), submit("high", priority="high")]
    until(lambda: all(waits(stack, job) for job in (second, *others)), _PATIENCE_S)
    client.cancel(first)
    until(lambda: is_at_work(stack, "high"), _PATIENCE_S)
    assert all(waits(stack, job) for job in (second, "low", "normal")), "acme is at its limit, and holds up nobody"
    client.cancel(acme)
    until(lambda: is_at_work(stack, second), _PATIENCE_S)
    assert all(waits(stack, job) for job in ("low", "normal"))


def test_a_launcher_says_that_its_job_waits(stack: Launcher, submit: Any, clip: Path) -> None:
    jobs = [submit("one"), submit("two")]
    until(lambda: all(is_at_work(stack, job) for job in jobs), _PATIENCE_S)
    submit("before", priority="high")
    until(lambda: waits(stack, "before"), _PATIENCE_S)
    process: subprocess.Popen[str] = stack.start("enhance", clip)
    assert process.stderr is not None
    for line in process.stderr:
        if "waits behind 1" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 130, errors


def test_jobs_that_wait_for_a_person_make_room(stack: Launcher, submit: Any) -> None:
    client = stack.client()
    client.set_pool(1)
    asked = [submit(f"asked-{number}", review="always") for number in range(2)]
    until(lambda: all(states(client, job)["review"][0] == "awaiting_input" for job in asked), _PATIENCE_S)
    submit("unasked")
    until(lambda: client.run_state("unasked") == "success", _PATIENCE_S)
    assert [client.run_state(job) for job in asked] == ["running", "running"]


def test_jobs_wait_on_though_triggerer_and_scheduler_are_killed_and_complete_in_their_order(
    stack: Launcher, submit: Any, tmp_path: Path
) -> None:
    client = stack.client()
    working = [submit("working-1"), submit("working-2")]
    until(lambda: all(is_at_work(stack, job) for job in working), _PATIENCE_S)
    waiting = [submit("last", priority="low"), submit("third"), submit("fourth"), submit("second", priority="high")]
    until(lambda: all(waits(stack, job) for job in waiting), _PATIENCE_S)
    killed(stack, "triggerer")
    killed(stack, "sr_embedded.scheduler")
    dead_s = time.time()
    asked_for = [
        path for path in (stack.workdir / "admission").glob("*.json") if '"is_admitted":false' in path.read_text()
    ]
    assert len(asked_for) == len(waiting)
    until(lambda: all(path.stat().st_mtime > dead_s for path in asked_for), _PATIENCE_S)
    client.set_pool(1)
    jobs = [*working, *waiting]
    until(lambda: all(client.run_state(job) not in ("queued", "running") for job in jobs), _PATIENCE_S)
    assert {client.run_state(job) for job in jobs} == {"success"}
    assert all(len(clips.pts_of(tmp_path / f"{job}.mp4")) == 8 for job in jobs)
    let_in = {job: _task(client, job, "admit")["end_date"] for job in jobs}
    # Two places that get free together are taken in either order.
    assert set(sorted(waiting, key=let_in.__getitem__)[:2]) == {"second", "third"}
    work = [(let_in[job], 1) for job in jobs] + [(_task(client, job, "clean")["end_date"], -1) for job in jobs]
    at_work = [sum(step for _, step in sorted(work)[: n + 1]) for n in range(len(work))]
    assert max(at_work) <= 2


def _task(client: Any, job: str, task_id: str) -> dict[str, Any]:
    (task,) = [task for task in client.tasks(job) if task["task_id"] == task_id]
    return dict(task)
