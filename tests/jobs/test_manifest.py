"""Manifests of earlier versions stay readable, and what is none is told so."""

import json

import pytest

from sr_tasks.errors import InputInvalid
from sr_tasks.jobs import manifest


def test_a_manifest_of_the_first_version_is_read_as_one_of_today() -> None:
    first = {"schema_version": 1, "job": {"id": "a"}, "verdict": {"decision": "passed"}}
    read = manifest.read(json.dumps(first))
    assert read["schema_version"] == manifest.SCHEMA_VERSION
    assert read["review"] is None
    assert read["job"] == {"id": "a"}


def test_a_manifest_of_today_is_read_as_it_is() -> None:
    today = {"schema_version": 2, "review": {"decision": "approved", "by": "anna"}}
    assert manifest.read(json.dumps(today).encode()) == today


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "not JSON"),
        ("[]", "no schema_version"),
        ('{"schema_version": true}', "True"),
        ('{"schema_version": "1"}', "'1'"),
        ('{"schema_version": 0}', "0"),
        ('{"schema_version": 3}', "reads up to 2"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_version(text: str, named: str) -> None:
    with pytest.raises(InputInvalid, match=named) as refused:
        manifest.read(text, "film.mp4.manifest.json")
    assert refused.value.message.startswith("film.mp4.manifest.json")
