"""Locks as other processes and threads meet them, however their holders end."""

import fcntl
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sr_tasks.config import REPOSITORY
from sr_tasks.storage import locks

HOLDER = (
    "import sys, time; from pathlib import Path; from sr_tasks.storage import locks\n"
    "handle = locks.acquire(Path(sys.argv[1]), shared=len(sys.argv) > 2)\n"
    "print('held', flush=True); time.sleep(600)"
)


def _holder(path: Path, *how: str) -> subprocess.Popen[str]:
    """Another process that holds the lock by now."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), *how], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_keeps_others_out_until_its_process_ends_in_whatever_way(tmp_path: Path, number: int) -> None:
    path = tmp_path / "folder" / "lock"
    assert not locks.is_held(path)
    assert not path.parent.exists(), "who looks makes nothing"
    holder = _holder(path)
    assert locks.is_held(path)
    with locks.locked(path, wait=False) as is_ours:
        assert not is_ours
    holder.send_signal(number)
    with locks.locked(path) as is_ours:
        assert is_ours
    holder.wait()


def test_a_child_that_was_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    handle = locks.acquire(tmp_path / "lock")
    assert handle is not None
    child = subprocess.Popen(["sleep", "600"], close_fds=False)
    try:
        locks.release(handle)
        assert not locks.is_held(tmp_path / "lock")
    finally:
        child.kill()
        child.wait()


def test_shared_locks_stand_beside_each_other_and_not_beside_another(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = _holder(path, "shared")
    mine = locks.acquire(path, wait=False, shared=True)
    assert mine is not None
    holder.kill()
    holder.wait()
    assert locks.acquire(path, wait=False) is None
    locks.release(mine)
    assert not locks.is_held(path)


def test_threads_of_one_process_keep_each_other_out(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with locks.locked(tmp_path / "lock"):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200


def test_a_lock_on_a_file_that_its_holder_removed_meanwhile_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flock = tmp_path / "lock", fcntl.flock
    removals = iter([path.unlink])

    def remove_once(handle: int, how: int) -> None:
        next(removals, lambda: None)()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", remove_once)
    handle = locks.acquire(path)
    assert handle is not None
    assert locks.is_held(path)
    locks.release(handle)
