"""What all tests share: where a skip is forbidden, it fails the run."""

import os
from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """With SR_FORBID_SKIPS set, a skipped test is a failed one, unless the hardware is missing: the rest can be had."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("SR_FORBID_SKIPS") and "this CPU has no" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are forbidden: {report.longrepr}"
