"""The process above an embedded Airflow: migrates, starts the components, and ends when it is told to or not needed.

Leader of a session of its own. Takes no requests and knows no job.
"""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import psutil

from sr_embedded import processes, state
from sr_embedded.client import Client
from sr_embedded.home import (
    API_DATABASE_WAIT_S,
    DATABASE_VARIABLE,
    DATABASE_WAIT_S,
    database_url,
    read_password,
)
from sr_tasks.errors import SrError

COMPONENTS: dict[str, list[str]] = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["sr_embedded.scheduler"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}
"""No log server: the API server reads the logs' files."""

_LAST = "triggerer"
"""Started when the others are ready: a job that need not wait does without it, and would be slower beside its start."""
_LAST_AFTER_S = 60.0
"""Or then, if the launcher that would have said so is gone."""
_COURTESY = 5
"""Added to its nice value: it does little, and frames are worth more."""
_LIFE_WORTH_RESTARTING_S = 30.0
_GRACE_S = 2.0
_TICK_S = 0.25


class Supervisor:
    """Runs until SIGTERM, until a component cannot be kept alive, or until nobody uses a stack not started by `up`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stopping = False
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._started_s: dict[str, float] = {}

    def run(self) -> int:
        """Returns the exit code: 0 if it was told to end or nobody needs it, 1 if Airflow could not be kept running."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        processes.adopt_orphans()
        try:
            if not self._migrate():
                return 1
            for name in (name for name in COMPONENTS if name != _LAST):
                self._start(name)
            return self._watch()
        finally:
            self._end_all()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _migrate(self) -> bool:
        mark = self._home / "migrated"
        wanted = version("apache-airflow-core")
        if (self._home / "airflow.db").exists() and mark.exists() and mark.read_text(encoding="ascii") == wanted:
            return True
        migration = self._popen("db", ["airflow", "db", "migrate"])
        while migration.poll() is None and not self._stopping:
            time.sleep(_TICK_S)
        if migration.returncode == 0:
            mark.write_text(wanted, encoding="ascii")
        return migration.returncode == 0

    def _start(self, name: str) -> None:
        self._started_s[name] = time.monotonic()
        self._running[name] = self._popen(name, COMPONENTS[name])

    def _popen(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        log_dir = self._home / "logs" / "embedded"
        log_dir.mkdir(parents=True, exist_ok=True)
        with (log_dir / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=self._env(name),
                preexec_fn=processes.die_with_parent if name != _LAST else _give_way,
            )

    def _env(self, name: str) -> dict[str, str]:
        """A database that somebody else chose is used as it was given."""
        env = dict(os.environ)
        if name == "api-server" and env.get(DATABASE_VARIABLE) == database_url(self._home, DATABASE_WAIT_S):
            env[DATABASE_VARIABLE] = database_url(self._home, API_DATABASE_WAIT_S)
        return env

    def _watch(self) -> int:
        while not self._stopping:
            time.sleep(_TICK_S)
            self._reap_orphans()
            ended = [name for name, component in self._running.items() if component.poll() is not None]
            for name in ended:
                is_young = time.monotonic() - self._started_s[name] < _LIFE_WORTH_RESTARTING_S
                if is_young and name == _LAST:
                    continue  # most jobs do without it for a while
                print(f"{name} ended with {self._running[name].returncode}.", flush=True)
                if is_young:
                    return 1
                self._start(name)
            if _LAST not in self._running and self._is_time_for_last():
                self._start(_LAST)
            if self._is_abandoned():
                return 0
        return 0

    def _is_time_for_last(self) -> bool:
        known = state.load(self._home)
        is_late = time.monotonic() - min(self._started_s.values()) > _LAST_AFTER_S
        return is_late or (known is not None and known.is_ready)

    def _reap_orphans(self) -> None:
        known = {component.pid for component in self._running.values()}
        for child in psutil.Process().children():
            if child.pid not in known and not processes.is_live(child):
                os.waitpid(child.pid, os.WNOHANG)

    def _is_abandoned(self) -> bool:
        with state.try_stopping(self._home) as held:
            known = state.load(self._home) if held else None
            if known is None or known.supervisor_pid != os.getpid() or known.keep or state.is_used(self._home):
                return False
            print("Nobody uses this Airflow any more.", flush=True)
            self._cancel_jobs(known)
            state.forget(self._home)
            return True

    def _cancel_jobs(self, known: state.StackState) -> None:
        """Fail the jobs of launchers that were killed, so that the next start does not go on with them unasked."""
        client = Client(known.url, read_password(self._home))
        try:
            for job_id in client.active_runs():
                client.cancel(job_id)
        except SrError as exc:
            print(f"Jobs could not be cancelled: {exc}", flush=True)
        finally:
            client.close()

    def _end_all(self) -> None:
        """Ask the components to end, wait a little, then kill every descendant there is."""
        for component in self._running.values():
            component.terminate()
        end = time.monotonic() + _GRACE_S
        while time.monotonic() < end and any(component.poll() is None for component in self._running.values()):
            time.sleep(0.05)
        while children := psutil.Process().children(recursive=True):
            for child in children:
                processes.send(child, signal.SIGKILL)
            psutil.wait_procs(children, timeout=0.2)


def _give_way() -> None:
    """Called in the new child."""
    processes.die_with_parent()
    os.nice(_COURTESY)


def main() -> int:
    return Supervisor(Path(os.environ["AIRFLOW_HOME"])).run()


if __name__ == "__main__":
    sys.exit(main())
