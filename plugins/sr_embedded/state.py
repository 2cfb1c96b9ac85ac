"""What is known of a started stack, in `state.json`, and the locks that keep launchers from disturbing each other."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sr_embedded.home import base_url
from sr_tasks.storage.atomic import write_text

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, kw_only=True)
class StackState:
    """One stack: which processes, where to reach it, and whether it outlives its users."""

    stack_id: str
    supervisor_pid: int
    """Leader of the session that the stack's processes belong to."""
    started_s: float
    """When the supervisor was started, as psutil says it."""
    boot_id: str
    port: int
    workdir: str
    keep: bool
    """Started by `up`: stays until `down`. Otherwise it ends with its last user."""
    is_ready: bool = False
    """Its launcher has seen it answer."""

    @property
    def url(self) -> str:
        return base_url(self.port)

    def is_alive(self) -> bool:
        """Whether the supervisor of this very stack runs, and not another process that got its number."""
        try:
            process = psutil.Process(self.supervisor_pid)
            return bool(process.create_time() == self.started_s and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def store(self, home: Path) -> None:
        write_text(_path(home), json.dumps(asdict(self), indent=1))


def load(home: Path) -> StackState | None:
    """The state somebody left, alive or stale; None if there is none or it cannot be read."""
    try:
        return StackState(**json.loads(_path(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget(home: Path) -> None:
    _path(home).unlink(missing_ok=True)


def boot_id() -> str:
    """Changes with every start of the machine; empty where the system does not tell."""
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""


@contextmanager
def starting_or_stopping(home: Path) -> Iterator[None]:
    """Hold the lock under which the stack is started, joined and stopped; waits for whoever holds it."""
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "stack.lock", fcntl.LOCK_EX) as _:
        yield


@contextmanager
def try_stopping(home: Path) -> Iterator[bool]:
    """Like `starting_or_stopping`, but gives False at once if somebody holds the lock."""
    with _locked(home / "stack.lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
        yield held


class Membership:
    """One launcher's use of the stack. The system ends it with the process, however that ends."""

    def __init__(self, home: Path) -> None:
        self._file = os.open(home / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def end(self) -> None:
        os.close(self._file)


def is_used(home: Path) -> bool:
    """Whether any launcher uses the stack now."""
    with _locked(home / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        return not alone


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)


def _path(home: Path) -> Path:
    return home / "state.json"
