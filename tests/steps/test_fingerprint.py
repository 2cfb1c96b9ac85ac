"""What of the library decides that finished chunks are kept: what can change their bytes, and nothing else."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sr_tasks.steps.shared.fingerprint import CHUNK_CODE, PACKAGE, code_version


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the library that may be edited."""
    copied = tmp_path / "sr_tasks"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    return copied


def version_after_a_comment(tree: Path, module: str) -> str:
    path = tree / module
    text = path.read_text()
    path.write_text(f"{text}\n# edited\n")
    code_version.cache_clear()
    version = code_version(package=tree)
    path.write_text(text)
    return version


@pytest.mark.parametrize(
    "module",
    ["graphs/rgb.py", "inference/loop.py", "inference/backends/pool.py", "media/encode.py", "demux/scan.py",
     "planes/frames.py", "records/media.py", "records/cards.py"],
)  # fmt: skip
def test_an_edit_of_what_makes_a_chunk_changes_the_fingerprint(tree: Path, module: str) -> None:
    assert version_after_a_comment(tree, module) != code_version()


@pytest.mark.parametrize(
    "module",
    ["intake/mlflow.py", "release/rule.py", "release/golden/items.py", "quality/gate.py", "quality/report.py",
     "records/assessment.py", "records/rehearsal.py", "registry/channels.py", "commands/models.py", "training/train.py",
     "streams/assemble.py", "streams/plan.py", "telemetry/logs.py"],
)  # fmt: skip
def test_an_edit_of_anything_else_keeps_the_chunks(tree: Path, module: str) -> None:
    assert version_after_a_comment(tree, module) == code_version()


def test_every_record_that_the_rooms_of_a_chunk_read_counts() -> None:
    rooms = [path for part in CHUNK_CODE if (path := PACKAGE / part).is_dir()]
    waiting = [module for room in rooms for module in room.rglob("*.py")]
    read: set[str] = set()
    while waiting:
        found = set(records_of(waiting.pop())) - read
        read |= found
        waiting += [PACKAGE / name for name in found]
    assert sorted(read) == sorted(part for part in CHUNK_CODE if part.startswith("records/"))


def records_of(module: Path) -> Iterator[str]:
    """The modules of `records` that a module imports, as paths in the package."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sr_tasks.records."):
            yield f"records/{node.module.removeprefix('sr_tasks.records.')}.py"
