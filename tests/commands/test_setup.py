"""`make setup` on a network that breaks off, and after one that was interrupted: with stand-ins for Python and pip."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sr_tasks.config import REPOSITORY

PYTHON = """#!/bin/sh
echo "$@" >> "$NOTES/python"
if [ "$2" = venv ]; then
    rm -rf .venv
    mkdir -p .venv/bin
    cp "$NOTES/venv-python" .venv/bin/python
    touch .venv/has-pip
fi
"""
VENV_PYTHON = """#!/bin/sh
[ -e .venv/has-pip ] || exit 1
if [ "$3" = install ]; then
    echo "$@" >> "$NOTES/installs"
    [ "$(wc -l < "$NOTES/installs")" -gt "$BREAKS" ]
fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder, programs = tmp_path / "checkout", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy(REPOSITORY / name, folder)
    for path, text in (
        (programs / "python3.11", PYTHON),
        (programs / "sleep", "#!/bin/sh\n"),
        (tmp_path / "venv-python", VENV_PYTHON),
    ):
        path.write_text(text)
        path.chmod(0o755)
    return folder


def set_up(checkout: Path, breaks: int = 0) -> subprocess.CompletedProcess[str]:
    notes = checkout.parent
    env = {"PATH": f"{notes / 'programs'}:{os.environ['PATH']}", "NOTES": str(notes), "BREAKS": str(breaks)}
    return subprocess.run(["make", "setup"], cwd=checkout, env=env, capture_output=True, text=True, check=False)


def installed(checkout: Path) -> list[str]:
    return [line.split()[-1] for line in (checkout.parent / "installs").read_text().splitlines()]


def test_downloads_that_break_off_are_tried_again_and_then_it_is_ready(checkout: Path) -> None:
    done = set_up(checkout, breaks=2)
    assert done.returncode == 0, done.stderr
    assert installed(checkout) == ["requirements.txt"] * 3 + ["requirements-dev.txt"]
    assert set_up(checkout).returncode == 0
    assert len(installed(checkout)) == 4, "what is set up is not set up again"


def test_what_could_not_be_installed_is_an_error_and_the_next_run_goes_on(checkout: Path) -> None:
    assert set_up(checkout, breaks=3).returncode != 0
    assert not (checkout / ".venv" / ".runtime").exists()
    assert set_up(checkout, breaks=3).returncode == 0
    assert installed(checkout)[-1] == "requirements-dev.txt"


def test_an_environment_whose_making_was_interrupted_is_made_anew(checkout: Path) -> None:
    set_up(checkout)
    (checkout / ".venv" / "has-pip").unlink()
    (checkout / ".venv" / ".runtime").unlink()
    done = set_up(checkout)
    assert done.returncode == 0, done.stderr
    assert (checkout.parent / "python").read_text().count("venv --clear .venv") == 2
