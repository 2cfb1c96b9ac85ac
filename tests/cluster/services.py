"""compose.yaml's services as processes of this machine: the same commands, environments and secrets, with the addresses
and folders of this run in the place of those of the containers."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sr_tasks.config import REPOSITORY

DOCKER = REPOSITORY / "docker"
_SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
_VARIABLE = re.compile(r"\$\{(\w+)(:?)-([^}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where things are on this machine."""

    folder: Path
    secrets: Path
    """What make_secrets.sh made, with the addresses of this run in it."""
    python_home: Path
    variables: Mapping[str, str]
    """Of docker/.env."""
    settings: Mapping[str, str]
    """Of docker/sr.env."""
    hosts: Mapping[str, str]
    """Text of compose.yaml that names a place in a container, and what stands for it here."""

    def env(self, name: str) -> dict[str, str]:
        """The whole environment of a service: nothing of the tests' own but where programs are."""
        home, secrets = self.folder / "homes" / name, self._secrets(name)
        home.mkdir(parents=True, exist_ok=True)
        image = {
            "PATH": f"{self.python_home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "HOSTNAME": name,
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "tests.cluster.hostname.of_service",
            "SR_REPO": str(REPOSITORY),
            "SECRETS": str(secrets),
            "NO_PROXY": "127.0.0.1",
        }
        given = {key: self._here(str(value), secrets) for key, value in _SERVICES[name]["environment"].items()}
        return {**image, **self.settings, **given}

    def command(self, name: str) -> list[str]:
        secrets = self._secrets(name)
        words = [self._here(word, secrets) for word in _SERVICES[name]["command"]]
        # Containers have names of their own; workers of one machine would have one between them.
        named = ["--celery-hostname", f"{name}@%h"] if "worker" in words else []
        return ["sh", str(DOCKER / "entrypoint.sh"), *words, *named]

    def _here(self, text: str, secrets: Path) -> str:
        places = {**self.hosts, "/run/secrets": str(secrets)}
        there = re.compile("|".join(map(re.escape, places)))
        return there.sub(lambda match: places[match[0]], _VARIABLE.sub(self._variable, text))

    def _variable(self, match: re.Match[str]) -> str:
        value = self.variables.get(match[1])
        return match[3] if value is None or (match[2] and not value) else value

    def _secrets(self, name: str) -> Path:
        """The secrets that the service is given, and no other, in a folder of its own."""
        folder = self.folder / "secrets-of" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            for secret in _SERVICES[name].get("secrets", ()):
                shutil.copy(self.secrets / secret, folder)
        return folder
