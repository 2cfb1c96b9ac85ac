"""What the library reads beside its modules is listed as package data, and nothing is listed that does not exist."""

import tomllib
from pathlib import Path

import pytest

CODE = {".py", ".pyc"}


def test_package_data_is_what_there_is(request: pytest.FixtureRequest) -> None:
    root = Path(request.config.rootpath)
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sr_tasks"]
    package = root / "sr_tasks"
    listed = {pattern: {path for path in package.glob(pattern)} for pattern in patterns}
    assert [pattern for pattern, found in listed.items() if not found] == []
    there = {path for path in package.rglob("*") if path.is_file() and path.suffix not in CODE}
    assert there - set().union(*listed.values()) == set()
