"""The watch over all jobs of the suite sees what it is there for."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sr_tasks.config import Settings
from sr_tasks.errors import DiskFull, InputDamaged, IntegrityBroken, SrError, UsageError
from sr_tasks.jobs.folder import JobFolder
from sr_tasks.jobs.spec import JobSpec
from tests.endings import watched


@pytest.mark.parametrize(
    ("error", "is_bug"),
    [
        (IntegrityBroken("a"), True), (UsageError("a"), True), (ValueError("a"), True), (SrError("a"), True),
        (InputDamaged("a"), False), (DiskFull("a"), False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("has_rehearsed", [True, False])
def test_a_bug_is_what_no_job_may_end_in_after_its_rehearsal(
    error: Exception, is_bug: bool, has_rehearsed: bool, tmp_path: Path
) -> None:
    settings, found = dataclasses.replace(Settings(), workdir=tmp_path), list[str]()
    if has_rehearsed:
        JobFolder(tmp_path, "job").store_json("source", {})

    def run(*_: Any) -> dict[str, Any]:
        raise error

    with pytest.raises(type(error)):
        watched(run, found)(JobSpec(source="a.mp4"), "job", settings)
    assert bool(found) == (is_bug and has_rehearsed)
