"""What is known of a started stack, in `state.json`, and the locks that keep launchers from disturbing each other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sr_embedded.home import base_url
from sr_tasks.storage.atomic import write_text
from sr_tasks.storage.locks import acquire, is_held, locked, release

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
    with locked(home / "stack.lock"):
        yield


@contextmanager
def try_stopping(home: Path) -> Iterator[bool]:
    """Like `starting_or_stopping`, but gives False at once if somebody holds the lock."""
    with locked(home / "stack.lock", wait=False) as held:
        yield held


class Membership:
    """One launcher's use of the stack. The system ends it with the process, however that ends."""

    def __init__(self, home: Path) -> None:
        self._handle = acquire(home / "users.lock", shared=True)

    def end(self) -> None:
        if self._handle is not None:
            release(self._handle)
            self._handle = None


def is_used(home: Path) -> bool:
    """Whether any launcher uses the stack now."""
    return is_held(home / "users.lock")


def _path(home: Path) -> Path:
    return home / "state.json"
