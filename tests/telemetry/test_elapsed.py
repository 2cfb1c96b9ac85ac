"""Long work tells that it goes on, and nothing once it is over."""

import re
import threading
import time

import pytest
from loguru import logger

from sr_tasks.telemetry.elapsed import elapsed


def test_it_tells_now_and_then_and_ends_with_the_work() -> None:
    lines: list[str] = []
    enough = threading.Event()

    def take(message: str) -> None:
        lines.append(message)
        if len(lines) == 2:
            enough.set()

    handler = logger.add(take, format="{message}")
    try:
        with elapsed("building an engine", every_s=0.01):
            assert enough.wait(120)
        told = len(lines)
        time.sleep(0.05)
        assert len(lines) == told
    finally:
        logger.remove(handler)
    assert re.fullmatch(r"building an engine: \d+ s so far\n", lines[0])


def test_an_error_passes_through() -> None:
    with pytest.raises(KeyError), elapsed("something"):
        raise KeyError
    assert "elapsed" not in {thread.name for thread in threading.enumerate()}
