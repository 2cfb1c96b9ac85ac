"""Whose fault: what a better request would cure burns no objective of the service."""

import pytest

from sr_tasks.errors import SrError
from sr_tasks.telemetry.faults import fault_of


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("USAGE", "request"),
        ("INPUT_NOT_FOUND", "request"),
        ("INPUT_DAMAGED", "request"),
        ("JOB_CANCELLED", "request"),
        ("DISK_TOO_SMALL", "service"),
        ("ROUTES_INVALID", "service"),
        ("DISK_FULL", "service"),
        ("CHUNK_FAILED", "service"),
        ("INTERNAL", "service"),
        ("QUALITY_REFUSED", "quality"),
        ("no such code", "service"),
    ],
)
def test_a_failure_has_the_fault_of_its_kind(code: str, fault: str) -> None:
    assert fault_of(code) == fault


def test_a_kind_that_is_new_has_the_fault_of_the_kind_above_it() -> None:
    from sr_tasks.errors import InputInvalid

    class SubtitlesUnreadable(InputInvalid):
        code = "SUBTITLES_UNREADABLE"

    class DiskOnFire(SrError):
        code = "DISK_ON_FIRE"

    assert fault_of("SUBTITLES_UNREADABLE") == "request"
    assert fault_of("DISK_ON_FIRE") == "service"
