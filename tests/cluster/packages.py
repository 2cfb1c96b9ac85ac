"""A Python with what a cluster needs on top of the tests' own: made once for each state of the pins."""

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from sr_tasks.config import REPOSITORY

PINS = REPOSITORY / "docker" / "requirements-cluster.txt"


def python_home() -> Path:
    """The folder of the environment; `bin` in it has `python` and `airflow`."""
    digest = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = REPOSITORY / ".cache" / f"cluster-{digest}"
    if not home.exists():
        home.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix="cluster-", dir=home.parent))
        try:
            _fill(partial)
            partial.rename(home)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return home


def _fill(home: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (site_packages,) = home.glob("lib/python*/site-packages")
    (site_packages / "tests.pth").write_text(sysconfig.get_paths()["purelib"])
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", str(PINS)]
    subprocess.run([str(home / "bin" / "python"), *install], check=True, capture_output=True)
    airflow = home / "bin" / "airflow"
    airflow.write_text('#!/bin/sh\nexec "$(dirname "$0")/python" -m airflow "$@"\n')
    airflow.chmod(0o755)
