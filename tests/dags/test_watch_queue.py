"""The Dag that counts the queue, run for real on a database of its own, with runs of jobs that wait in it."""

import socket
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.jobs.admission import Admissions, Applicant, Limits


@pytest.fixture(scope="module")
def watch_queue() -> Any:
    import watch_queue

    return watch_queue.watch_queue()


def received(server: socket.socket, last: str) -> list[str]:
    """The packets up to the one that begins so."""
    packets = [server.recv(4096).decode()]
    while not packets[-1].startswith(last):
        packets.append(server.recv(4096).decode())
    return packets


def test_it_is_one_task_now_and_then_and_never_two_at_once(watch_queue: Any) -> None:
    assert [task.task_id for task in watch_queue.tasks] == ["count"]
    assert watch_queue.schedule == timedelta(minutes=2)
    assert (watch_queue.catchup, watch_queue.max_active_runs) == (False, 1)
    assert watch_queue.doc_md
    assert watch_queue.tasks[0].owner == "sr"


def test_jobs_that_wait_are_told_and_counters_begin_at_nothing(
    watch_queue: Any,
    migrated: None,
    waiting_jobs: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """One of the two whose runs have begun waits to be admitted."""
    others = jobs_by_state()
    waiting_jobs(3)
    waiting_jobs(2, "running")
    monkeypatch.setenv("SR_WORKDIR", str(tmp_path))
    for number in range(2):
        asking = Applicant(job_id=f"running-{number}", weight=-number, accepted_s=0.0)
        Admissions(tmp_path).ask(asking, Limits(at_once=1, tenants={}), len)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(120)
        monkeypatch.setenv("SR_STATSD_HOST", "127.0.0.1")
        monkeypatch.setenv("SR_STATSD_PORT", str(server.getsockname()[1]))
        run = watch_queue.test()
        sent = received(server, "sr.disk_free:")
    assert run.state == "success"
    queued, running = 4 + others["queued"], 1 + others["running"]
    assert sent[-4:-1] == [f"sr.queue.queued:{queued}|g", f"sr.queue.running:{running}|g", "sr.tasks_waiting:0|g"]
    assert 0 < float(sent[-1].removeprefix("sr.disk_free:").removesuffix("|g")) <= 1, "though no job computes"
    assert {"sr.jobs.failed:0|c", "sr.failures.service.DISK_FULL:0|c", "sr.deadlines.missed:0|c"} <= set(sent)


def jobs_by_state() -> Counter[str]:
    """What tests before this one left in the database that they share."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return Counter(str(state) for state in session.scalars(select(DagRun.state).filter_by(dag_id="upscale_video")))


@pytest.fixture
def waiting_jobs(migrated: None) -> Any:
    """Puts that many runs of the job's Dag into Airflow's database, queued or as asked, and takes them out again."""
    from airflow._shared.timezones import timezone
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    def put(count: int, state: str = "queued") -> None:
        with create_session() as session:
            for index in range(count):
                now = timezone.utcnow()
                session.add(
                    DagRun(
                        dag_id="upscale_video", run_id=f"{state}-{index}", run_type=DagRunType.MANUAL, state=state,
                        run_after=now, queued_at=now,
                    )
                )  # fmt: skip

    yield put
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id.regexp_match("^(queued|running)-")))
