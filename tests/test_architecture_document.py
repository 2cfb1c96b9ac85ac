"""The map of the rooms is that of the import walls, and what the documents name exists."""

import re
import tomllib
from pathlib import Path

from sr_tasks.config import REPOSITORY

DOCUMENTS = [*sorted((REPOSITORY / "docs").rglob("*.md")), REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"]
MAP = (REPOSITORY / "docs" / "architecture.md").read_text()


def layers() -> list[set[str]]:
    """The rooms of sr_tasks from the top down, as import-linter holds them."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rooms,) = (one["layers"] for one in contracts if one["name"] == "Rooms import downwards")
    return [{room.strip() for room in layer.split("|")} for layer in rooms]


def test_the_drawn_map_is_the_order_of_the_walls() -> None:
    drawn = MAP[MAP.index("sr_tasks/: a library") : MAP.index("Two walks")]
    lines = [set(re.findall("[a-z]+", line[:40])) for line in drawn.splitlines()[1:]]
    rooms = [line for line in lines if line]
    walls = [layer for layer in layers() if layer != {"__main__"}]
    assert rooms == [*walls[:-3], walls[-3] | walls[-2] | walls[-1]]


def test_every_room_has_its_paragraph() -> None:
    folders = {room for layer in layers() for room in layer if (REPOSITORY / "sr_tasks" / room).is_dir()}
    assert folders - set(re.findall(r"^\*\*([a-z]+)/\*\*", MAP, re.MULTILINE)) == set()


def test_no_room_holds_more_than_its_share_of_the_library() -> None:
    lines = {
        room.name: sum(len(module.read_text().splitlines()) for module in room.rglob("*.py"))
        for room in (REPOSITORY / "sr_tasks").iterdir()
    }
    total = sum(lines.values())
    assert {room: count for room, count in lines.items() if count > 0.13 * total} == {}


def test_files_that_documents_name_exist() -> None:
    named = {
        (document.name, path)
        for document in DOCUMENTS
        for path in re.findall(r"\b(?:sr_tasks|tests|dags|plugins)/[\w/]+\.py\b", document.read_text())
    }
    assert len(named) > 50
    assert [one for one in sorted(named) if not (REPOSITORY / one[1]).is_file()] == []


def test_modules_on_the_way_of_a_frame_and_of_a_job_exist() -> None:
    named = {
        name
        for page in ("follow-a-frame.md", "follow-a-job.md")
        for name in re.findall(r"`([a-z_]+/[a-z_]+)[`.]", (REPOSITORY / "docs" / page).read_text())
    }
    assert len(named) > 20
    assert [name for name in sorted(named) if not there(name)] == []


def there(name: str) -> bool:
    return any(
        Path(REPOSITORY, root, f"{name}{end}").exists() for root in ("sr_tasks", "plugins") for end in ("", ".py")
    )
