"""Outputs that a request names by a template."""

from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.jobs.spec import JobSpec
from sr_tasks.steps.shared.locations import locations
from sr_tasks.storage.uris import LocalFile

NAMED: dict[str, tuple[str, dict[str, Any], str]] = {
    "beside": ("{folder}{stem}-{size}{suffix}", {}, "/in/a %41 b-x2.mp4"),
    "by size": ("/out/{stem}.{size}{suffix}", {"size": "1080p"}, "/out/a %41 b.1080p.mp4"),
    "in another container": ("/out/{stem}{suffix}", {"codec": "ffv1"}, "/out/a %41 b.mkv"),
    "for a purpose": ("/out/{stem}{suffix}", {"purpose": "edit"}, "/out/a %41 b.mov"),
    "by an address": ("file:///out/{stem}{suffix}", {"scale": 4}, "/out/a %41 b.mp4"),
    "with braces of its own": ("/out/{x}.mp4", {}, "/out/{x}.mp4"),
    "with a suffix of its own": ("/out/{stem}_{scale}.mkv", {"scale": 3}, "/out/a %41 b_3.mkv"),
}


@pytest.mark.parametrize(("output", "fields", "wanted"), NAMED.values(), ids=NAMED)
def test_a_template_names_the_output(output: str, fields: dict[str, Any], wanted: str) -> None:
    spec = JobSpec(source="/in/a %41 b.mp4", output=output, **fields)
    assert locations(spec, Settings())[1] == LocalFile(Path(wanted))


def test_the_folder_of_an_object_is_its_prefix() -> None:
    spec = JobSpec(source="s3://films/in/a.mkv", output="{folder}done/{stem}{suffix}")
    assert locations(spec, Settings())[1].uri == "s3://films/in/done/a.mkv"


@pytest.mark.parametrize("output", ["{stem}{version}.mp4", "{stem}{other}.mp4", "{stem!r}{stem}.mp4", "{stem}{.mp4"])
def test_a_template_that_cannot_be_filled_is_refused(output: str) -> None:
    with pytest.raises(UsageError, match="output") as caught:
        locations(JobSpec(source="/in/a.mp4", output=output), Settings())
    assert "{folder}, {stem}, {suffix}, {scale}, {size}" in caught.value.hint
