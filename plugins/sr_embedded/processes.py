"""Which processes belong to a stack, and their end. Touches no other process."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence

import psutil

from sr_embedded.home import STACK_VARIABLE
from sr_embedded.state import StackState, boot_id

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of descendants that lose theirs, so that none gets out of sight."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Called in a new child: have the system kill it when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def stack_processes(state: StackState) -> list[psutil.Process]:
    """Every live process of the stack: of its session, with its mark in the environment, or descended from those."""
    if state.boot_id != boot_id():
        return []
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _belongs(process, state):
            found[process.pid] = process
            for child in _descendants(process):
                found[child.pid] = child
    return [process for process in found.values() if is_live(process)]


def kill_all(state: StackState, timeout_s: float = 10.0) -> list[psutil.Process]:
    """SIGKILL the stack's processes until none is left; returns those that are still there in the end."""
    end = time.monotonic() + timeout_s
    while left := stack_processes(state):
        for process in left:
            send(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=0.2)
        if time.monotonic() > end:
            break
    return left


def wait_gone(processes: Sequence[psutil.Process], timeout_s: float) -> bool:
    """Whether all of them ended in time; one that only waits for its parent to notice counts as ended."""
    end = time.monotonic() + timeout_s
    while any(is_live(process) for process in processes):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _belongs(process: psutil.Process, state: StackState) -> bool:
    try:
        if process.create_time() < state.started_s:
            return False
        if os.getsid(process.pid) == state.supervisor_pid:
            return True
        return bool(process.environ().get(STACK_VARIABLE) == state.stack_id)
    except (psutil.Error, OSError):
        return False


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def is_live(process: psutil.Process) -> bool:
    """Whether it runs; one that ended and waits for its parent to notice does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def send(process: psutil.Process, number: int) -> None:
    """Signal a process, unless it is gone."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
