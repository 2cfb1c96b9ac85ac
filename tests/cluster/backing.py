"""What keeps state below Airflow, each with its own folder and port on 127.0.0.1, gone afterwards: PostgreSQL and
RabbitMQ as Debian packages them, moto's S3 and SQS, and a receiver of StatsD that keeps what it is told."""

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import httpx
from moto.server import ThreadedMotoServer

from tests.dags import rabbitmq


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextlib.contextmanager
def postgres(password: str) -> Iterator[int]:
    """An empty server with the user `airflow`; gives the port."""
    programs, port = postgres_programs(), free_port()
    # Not below pytest's folders, which are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="sr-postgres-"))
    try:
        (folder / "password").write_text(password)
        _give_to_postgres(folder)
        initdb = ["initdb", "--username=airflow", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
        _run([f"{programs}/{initdb[0]}", *initdb[1:], f"--pwfile={folder}/password", f"{folder}/data"], folder)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
        control = [f"{programs}/pg_ctl", f"--pgdata={folder}/data", f"--log={folder}/server.log"]
        try:
            _run([*control, "--wait", "--timeout=120", f"--options={options}", "start"], folder)
            yield port
        finally:
            _run([*control, "--mode=immediate", "stop"], folder, check=False)
    finally:
        shutil.rmtree(folder)


def client_env(port: int, password: str) -> dict[str, str]:
    """For PostgreSQL's own programs."""
    named = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "airflow", "PGPASSWORD": password}
    return {**named, "PATH": f"{postgres_programs()}:{os.environ['PATH']}"}


def _give_to_postgres(folder: Path) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")


def _run(command: list[str], folder: Path, *, check: bool = True) -> None:
    """As the user `postgres` where the tests are root's, whom PostgreSQL refuses."""
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    with (folder / "programs.log").open("ab") as log:
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{command[-1]}: {(folder / 'programs.log').read_text()[-2000:]}")


@contextlib.contextmanager
def broker(folder: Path, configuration: Path) -> Iterator[int]:
    """RabbitMQ with one more file of configuration; gives the port."""
    parts = folder / "conf.d"
    parts.mkdir(parents=True)
    shutil.copy(configuration, parts / "20-user.conf")
    on_loopback = {"ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_AFLAGS": "-kernel inet_dist_use_interface {127,0,0,1}"}
    with (
        mock.patch.dict(os.environ, RABBITMQ_CONFIG_FILES=str(parts), **on_loopback),
        rabbitmq.running(folder) as address,
    ):
        yield int(address.rstrip("/").rpartition(":")[2])


@contextlib.contextmanager
def object_store() -> Iterator[str]:
    """S3 and SQS at one address."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        # All servers of a process share one memory: what earlier tests left in it is cleared.
        httpx.post(f"{address}/moto-api/reset").raise_for_status()
        yield address
    finally:
        server.stop()


class StatsdReceiver:
    """Keeps every datagram."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.heard = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while datagram := self._socket.recv(65536):
            self.heard += datagram + b"\n"

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()
