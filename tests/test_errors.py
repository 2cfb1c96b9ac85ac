"""The tree of errors: drawn as it is, each kind explained, and the page of codes says the same."""

import re

import pytest

from sr_tasks import errors
from sr_tasks.config import REPOSITORY
from sr_tasks.errors import SrError, known_errors

KINDS = [kind for kind in known_errors().values() if kind.__module__ == errors.__name__]
PAGE = (REPOSITORY / "docs" / "errors.md").read_text()


def parent_of(kind: type[SrError]) -> str:
    return kind.__mro__[1].__name__


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"^([│ ├└─]*)(\w+) +([A-Z]+(?:_[A-Z]+)*)\b", errors.__doc__ or "", re.MULTILINE)
    above: dict[int, str] = {0: "SrError"}
    found = set()
    for indent, name, code in drawn:
        depth = len(indent) // 4
        above[depth] = name
        found.add((name, code, above[depth - 1]))
    assert found == {(kind.__name__, kind.code, parent_of(kind)) for kind in KINDS if kind is not SrError}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_each_kind_says_when_it_is_raised_and_whether_a_retry_helps(kind: type[SrError]) -> None:
    said = kind.__dict__.get("__doc__") or ""
    first, *rest = said.split(". ")
    assert first[0].isupper()
    assert re.search(r"\b(retry|retries|retried)\b", " ".join(rest), re.IGNORECASE), said
    refuses = re.search(
        r"never helps|helps only (if|with|after|under)|gives the same|fails in the same|reach it again", said
    )
    assert not (kind.retryable and refuses), "Airflow tries it again"


def test_the_page_of_codes_has_a_row_for_each_kind() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d+) \| (yes|no) \| (.+) \|$", PAGE, re.MULTILINE)
    expected = [
        (kind.code, str(kind.exit_code), "yes" if kind.retryable else "no", " ".join((kind.__doc__ or "").split()))
        for kind in KINDS
    ]
    assert sorted(rows) == sorted(expected)
