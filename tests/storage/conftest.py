"""Child processes that wait for a signal to start, so that tests can race and kill them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


class Child:
    """Runs `prepare`, waits for `go()`, then runs `body`; both see the arguments as `args` (strings)."""

    def __init__(self, prepare: str, body: str, args: tuple[object, ...]) -> None:
        code = f"import sys\nargs = sys.argv[1:]\n{prepare}\nprint('ready', flush=True)\nsys.stdin.readline()\n{body}\n"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        """What `body` printed, once the child has ended."""
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0
        return out.strip()

    def wait_until(self, holds: Callable[[], object]) -> None:
        """Look as often as can be whether it holds, while the child goes on."""
        while not holds():
            assert self.process.poll() is None, "the child ended before it could be disturbed"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def start(prepare: str, body: str, *args: object) -> Child:
        started.append(Child(prepare, body, args))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
