"""docs/media.md: each kind of file has a row, and each row names a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)::(.+?)` \|$", (ROOT / "docs" / "media.md").read_text(), re.MULTILINE)
KINDS = (
    "Time", "Interlaced", "Pixels", "Alpha", "Changes in the middle", "Colour", "Streams", "Containers in",
    "Containers out", "Damage", "Privacy", "Rehearsal",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_has_a_row(kind: str) -> None:
    assert [row for row in ROWS if row[0].partition(":")[0] == kind]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_each_row_names_a_test_that_there_is(row: tuple[str, ...]) -> None:
    path, name = ROOT / row[2], row[3]
    assert re.search(rf"^def {name}\(", path.read_text(), re.MULTILINE)


def test_every_line_of_the_table_is_such_a_row() -> None:
    lines = (ROOT / "docs" / "media.md").read_text().splitlines()
    assert len(ROWS) == sum(line.startswith("| ") for line in lines) - 2
