"""docs/media.md: each kind of file has a row, and each row names a test of at least three files of the kind."""

import re
import subprocess
import sys
from collections import Counter
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


FEWER = {
    "test_every_whole_file_comes_out": "goes through all files that are mutated",
    "test_a_mutated_file_comes_out_whole_or_is_refused_before_any_work": "goes through 200 files",
    "test_dolby_vision_with_colours_of_its_own_is_refused": "one profile is of this kind",
    "test_matroska_keeps_subtitles_chapters_fonts_tags_and_languages": "one file holds all of these",
    "test_a_time_code_track_comes_out_with_its_time": "two containers have such tracks",
    "test_place_make_model_and_date_of_a_phone_are_kept": "two containers have such tags",
    "test_a_stream_that_does_not_come_out_is_dropped_and_the_reason_is_told": "is about rehearsals",
    "test_a_source_is_rehearsed_once_for_the_same_settings": "is about rehearsals",
    "test_each_place_where_the_picture_changes_is_rehearsed": "is about rehearsals",
    "test_what_the_pictures_say_counts_where_the_container_says_otherwise": "one file contradicts in all tags",
    "test_a_cover_and_fonts_keep_their_bytes": "one file holds both",
    "test_what_the_stream_crops_off_does_not_come_back": "two codecs crop",
    "test_alpha_is_flattened_onto_black_or_refused": "the kinds of alpha are those of the row above",
}
"""Tests of fewer than three cases, and why."""


def test_each_row_names_a_test_of_at_least_three_cases() -> None:
    names = sorted({f"{path}::{name}" for _, _, path, name in ROWS})
    command = [sys.executable, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "--collect-only", "-q", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    cases = Counter(line.partition("[")[0].split("::")[-1] for line in done.stdout.splitlines() if "::" in line)
    assert [name for name, count in cases.items() if count < 3 and name not in FEWER] == []
