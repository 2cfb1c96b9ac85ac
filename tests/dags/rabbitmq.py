"""A RabbitMQ of the test's own: its folder, its port, its processes, all gone afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.ports import free_port

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_START_TIMEOUT_S = 300.0


def is_installed() -> bool:
    return Path(_SERVER).exists() and shutil.which("erl") is not None


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Give the broker's address. Needs Debian's `rabbitmq-server`, whose service need not run."""
    port, distribution = free_port(), free_port()
    env = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_HOME": "/usr/lib/rabbitmq",
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        "ERL_EPMD_PORT": str(free_port()),
    }
    (folder / "plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text("")
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen([_SERVER], env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _wait_for(port, server, folder)
        yield f"amqp://guest:guest@127.0.0.1:{port}/"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        _end_port_mapper(env)


def _wait_for(port: int, server: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + _START_TIMEOUT_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"RabbitMQ did not start: {(folder / 'server.log').read_text()[-2000:]}")
        time.sleep(0.2)


def _end_port_mapper(env: dict[str, str]) -> None:
    """The broker started it, apart from itself; it refuses to end until it has noticed that the broker is gone."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = subprocess.run(["epmd", "-kill"], env=env, capture_output=True, text=True, check=False)
        if "Killed" in answer.stdout or "Cannot connect" in answer.stderr + answer.stdout:
            return
        time.sleep(0.2)
