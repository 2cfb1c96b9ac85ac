"""What all tests share: a state of their own, the same examples in every run, and skips that may be forbidden."""

import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

_STATE = tempfile.TemporaryDirectory(prefix="sr-state-")
os.environ.setdefault("SR_STATE_DIR", _STATE.name)
"""What commands started by tests tell of models must not be kept where a deployment keeps it."""

for _profile, _is_same in (("suite", True), ("search", False)):
    settings.register_profile(
        _profile, derandomize=_is_same, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
settings.load_profile("suite")
"""`pytest --hypothesis-profile=search` looks for new examples. How long one takes is no property of the code."""


_LIVE = frozenset({"airflow", "cluster", "console", "dags", "monitoring"})
"""Folders whose tests share a machine-wide thing (servers, a database, a browser): they run one after the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in _LIVE:
            item.add_marker(pytest.mark.live)


@pytest.fixture(autouse=True)
def no_bug_after_a_rehearsal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test one of whose jobs in this process passed its rehearsal and ended in a bug of ours, whatever the test
    expects, unless it is marked `injects_fault`."""
    found: list[str] = []
    pipeline = sys.modules.get("sr_tasks.steps.pipeline")  # tests without jobs need not load it
    if pipeline is not None:
        from tests.endings import watched

        monkeypatch.setattr(pipeline, "run", watched(pipeline.run, found))
    yield
    if found and request.node.get_closest_marker("injects_fault") is None:
        pytest.fail(f"a job that passed its rehearsal ended in {'; '.join(found)}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """With SR_FORBID_SKIPS set, a skipped test is a failed one, unless the hardware is missing: the rest can be had."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("SR_FORBID_SKIPS") and "this CPU has no" not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped where skips are forbidden: {report.longrepr}"
