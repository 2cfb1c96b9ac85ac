"""Starts, joins and stops the embedded Airflow. Every entry takes the lock, so launchers may run side by side."""

import dataclasses
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from sr_embedded import processes, state
from sr_embedded.client import Client
from sr_embedded.home import HomeSettings, base_url, free_port, process_env, read_password
from sr_embedded.state import StackState
from sr_tasks.config import Settings
from sr_tasks.errors import AirflowUnavailable
from sr_tasks.jobs.status import JOB_DAG

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 8.0
_LOG_BYTES = 5_000_000

Notice = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stack:
    """A running embedded Airflow."""

    state: StackState
    home: HomeSettings

    def client(self) -> Client:
        return Client(self.state.url, read_password(self.home.home))


def up(home: HomeSettings, settings: Settings, notice: Notice) -> Stack:
    """Start Airflow unless it runs, and have it stay until `down`. Raises AirflowUnavailable if it does not start."""
    with state.starting_or_stopping(home.home):
        stack = _running_or_started(home, settings, keep=True, notice=notice)
        if not stack.state.keep:
            stack = dataclasses.replace(stack, state=dataclasses.replace(stack.state, keep=True))
            stack.state.store(home.home)
        return stack


def down(home: HomeSettings) -> bool:
    """Stop Airflow and every process of it, running jobs included; False if there was nothing to stop.

    Raises AirflowUnavailable if a process is left in spite of all.
    """
    with state.starting_or_stopping(home.home):
        known = state.load(home.home)
        return known is not None and _stop(home, known)


@contextmanager
def borrowed(home: HomeSettings, settings: Settings, notice: Notice) -> Iterator[Stack]:
    """Use the running Airflow, or start one; the last user of one that `up` did not start stops it."""
    with state.starting_or_stopping(home.home):
        membership = state.Membership(home.home)
        try:
            stack = _running_or_started(home, settings, keep=False, notice=notice)
        except BaseException:
            membership.end()
            raise
    try:
        yield stack
    finally:
        with state.starting_or_stopping(home.home):
            membership.end()
            known = state.load(home.home)
            if known and known.stack_id == stack.state.stack_id and not known.keep and not state.is_used(home.home):
                notice("Stopping Airflow")
                _stop(home, known)


def running(home: HomeSettings) -> Stack | None:
    """The stack that runs now, if one does."""
    known = state.load(home.home)
    return Stack(state=known, home=home) if known and known.is_alive() else None


def _running_or_started(home: HomeSettings, settings: Settings, *, keep: bool, notice: Notice) -> Stack:
    known = state.load(home.home)
    if known and known.is_alive():
        return Stack(state=known, home=home)
    if known:
        notice("An earlier Airflow ended without being stopped: clearing up after it")
        _stop(home, known)
    notice("Starting Airflow")
    stack = Stack(state=_spawn(home, settings, keep=keep), home=home)
    try:
        _wait_ready(stack)
    except BaseException:
        _stop(home, stack.state)
        raise
    stack = dataclasses.replace(stack, state=dataclasses.replace(stack.state, is_ready=True))
    stack.state.store(home.home)
    return stack


def _spawn(home: HomeSettings, settings: Settings, *, keep: bool) -> StackState:
    stack_id = secrets.token_hex(8)
    port = free_port(home.airflow_port)
    env = process_env(home.home, port, stack_id, settings, os.environ)
    env["SR_WORKDIR"] = str(settings.workdir)
    _trim_logs(home)
    with (home.log_dir / "embedded" / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "sr_embedded.supervisor"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home.home,
            env=env,
            start_new_session=True,
        )
    started = StackState(
        stack_id=stack_id,
        supervisor_pid=supervisor.pid,
        started_s=psutil.Process(supervisor.pid).create_time(),
        boot_id=state.boot_id(),
        port=port,
        workdir=str(settings.workdir),
        keep=keep,
    )
    started.store(home.home)
    return started


def _wait_ready(stack: Stack) -> None:
    client = stack.client()
    end = time.monotonic() + _START_TIMEOUT_S
    try:
        while not (client.warm_up() and client.is_ready()):
            if not stack.state.is_alive() or time.monotonic() > end:
                raise AirflowUnavailable(
                    f"Airflow did not start at {base_url(stack.state.port)} with the Dag {JOB_DAG}.",
                    hint=f"See the logs in {stack.home.log_dir / 'embedded'}.",
                )
            time.sleep(0.2)
        client.set_pool(stack.home.gpu_slots)
    finally:
        client.close()


def _stop(home: HomeSettings, known: StackState) -> bool:
    """Stop what is left of a stack, alive or orphaned, and forget it; whether there was anything."""
    there = processes.stack_processes(known)
    if known.is_alive():
        supervisor = [process for process in there if process.pid == known.supervisor_pid]
        for process in supervisor:
            processes.send(process, signal.SIGTERM)
        processes.wait_gone(supervisor, _STOP_TIMEOUT_S)
    left = processes.kill_all(known)
    if left:
        raise AirflowUnavailable(
            f"Processes of Airflow do not end: {', '.join(str(process.pid) for process in left)}.",
            hint="End them by hand, with the rights of their owner.",
        )
    state.forget(home.home)
    return bool(there)


def _trim_logs(home: HomeSettings) -> None:
    """Start a component's log anew once it has grown large."""
    folder = home.log_dir / "embedded"
    folder.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        if log.stat().st_size > _LOG_BYTES:
            log.unlink()
