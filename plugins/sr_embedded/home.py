"""Where the embedded Airflow lives: its folder, its secrets, and the environment of its processes. Starts nothing."""

import json
import os
import random
import secrets
import socket
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sr_tasks.config import REPOSITORY, Settings
from sr_tasks.environment import Number, Port, read
from sr_tasks.errors import UsageError

USER = "admin"
POOL = "gpu"
STACK_VARIABLE = "SR_STACK"
"""Set to the stack's id in each of its processes."""

DATABASE_VARIABLE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
DATABASE_WAIT_S = 30
"""How long one process may wait until another has written. After SQLite's five seconds a busy scheduler would end."""
API_DATABASE_WAIT_S = 2
"""The same for the API server. It writes its audit log on its event loop, so a call that waits for the write of another
call keeps that one from ending; only giving up, and being asked again, resolves it."""

_HOST = "127.0.0.1"
_PORTS = range(20_000, 32_000)
"""Below those that systems give out by themselves: it takes seconds until the API server listens at what was found."""
_PORTS_TRIED = 100
_PASSWORDS = "simple_auth_manager_passwords.json.generated"
_SECRETS = "secrets.json"


@dataclass(frozen=True, kw_only=True)
class HomeSettings:
    """The knobs of the embedded Airflow, read once from the environment."""

    airflow_home: Path = REPOSITORY / ".airflow"
    """AIRFLOW_HOME: database, logs, secrets, state."""
    airflow_port: Port = 8080
    """Wanted port of the API server; another is taken if it is in use, 0 for any."""
    gpu_slots: Number = 1
    """How many videos or chunks are enlarged at a time."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "HomeSettings":
        """Read SR_AIRFLOW_HOME, SR_AIRFLOW_PORT and SR_GPU_SLOTS. Raises UsageError for what is not accepted."""
        return read(cls, {name: value for name, value in env.items() if value})

    @property
    def home(self) -> Path:
        return self.airflow_home.absolute()

    @property
    def log_dir(self) -> Path:
        return self.home / "logs"


def read_password(home: Path) -> str:
    return str(json.loads((home / _PASSWORDS).read_text(encoding="utf-8"))[USER])


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else one that is free and that no outgoing connection will be given."""
    for port in (*([wanted] if wanted else []), *random.sample(_PORTS, _PORTS_TRIED)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return port
    raise UsageError("No port is free on 127.0.0.1.", hint="Stop some server.")


def base_url(port: int) -> str:
    return f"http://{_HOST}:{port}"


def prepare(home: Path) -> dict[str, str]:
    """Make the folder and, the first time, its secrets (mode 0600); return the secrets as Airflow's variables."""
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    if not (home / _PASSWORDS).exists():
        _write_private(home / _PASSWORDS, {USER: secrets.token_urlsafe(12)})
    if not (home / _SECRETS).exists():
        made = {
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        _write_private(home / _SECRETS, made)
    return dict(json.loads((home / _SECRETS).read_text(encoding="utf-8")))


def database_url(home: Path, wait_s: int) -> str:
    """Of the home's database, for a process that waits so long while another writes."""
    return f"sqlite:///{home}/airflow.db?timeout={wait_s}"


def process_env(home: Path, port: int, stack_id: str, settings: Settings, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with all that a process of the stack needs to find the Dags, the library, the database and the others."""
    path = [str(REPOSITORY), str(REPOSITORY / "plugins"), env.get("PYTHONPATH", "")]
    values = {
        DATABASE_VARIABLE: database_url(home, DATABASE_WAIT_S),
        **env,
        **prepare(home),
        STACK_VARIABLE: stack_id,
        "SR_REPO": str(REPOSITORY),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(REPOSITORY / "airflow.cfg"),
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": base_url(port),
        "PYTHONPATH": os.pathsep.join(part for part in path if part),
        "NO_PROXY": ",".join(part for part in (_HOST, "localhost", env.get("NO_PROXY", "")) if part),
    }
    if settings.statsd_host:
        values["AIRFLOW__METRICS__STATSD_ON"] = "True"
        values["AIRFLOW__METRICS__STATSD_HOST"] = settings.statsd_host
        values["AIRFLOW__METRICS__STATSD_PORT"] = str(settings.statsd_port)
        values["AIRFLOW__METRICS__STATSD_PREFIX"] = "airflow"
    values["no_proxy"] = values["NO_PROXY"]
    return values


def _write_private(path: Path, value: Mapping[str, str]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
    partial.replace(path)
