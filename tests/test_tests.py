"""The tests of this project: they use what a module offers, and nothing that it keeps to itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sr_tasks.config import REPOSITORY

FOREIGN = {"_exit", "_obj", "_shared", "_get_plugins", "_main"}
"""Names of Python, ctypes, Airflow and s3transfer that begin so and have no other."""


def is_private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__") and name not in FOREIGN


def reaches(module: Path) -> Iterator[str]:
    """Where a module uses a private name of another one: an attribute, an import, a patch."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield f"{ast.unparse(node)} in line {node.lineno}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{one.name} in line {node.lineno}" for one in node.names if is_private(one.name))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            named = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
            yield from (f"{name} in line {node.lineno}" for name in named if is_private(str(name).rpartition(".")[2]))


def test_no_test_reaches_into_what_a_module_keeps_to_itself() -> None:
    found = {
        str(module.relative_to(REPOSITORY)): names
        for module in sorted((REPOSITORY / "tests").rglob("*.py"))
        if (names := list(reaches(module)))
    }
    assert found == {}
