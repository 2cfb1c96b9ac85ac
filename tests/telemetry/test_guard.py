"""What observes a job may fail; the job may not notice, and its log says so."""

from loguru import logger

from sr_tasks.errors import DiskFull
from sr_tasks.telemetry.guard import observes


def test_an_observer_that_fails_is_logged_with_its_name_and_its_error_and_the_others_go_on() -> None:
    told: list[str] = []
    lines: list[str] = []

    @observes
    def watcher(name: str, *, fails: bool) -> None:
        """Says its name."""
        if fails:
            raise DiskFull(f"no room for {name}")
        told.append(name)

    sink = logger.add(lines.append, format="{level} {message}")
    try:
        watcher("first", fails=True)
        watcher("second", fails=False)
    finally:
        logger.remove(sink)
    assert told == ["second"]
    (line,) = lines
    assert line.startswith("ERROR")
    assert "watcher" in line
    assert "no room for first" in line
    assert watcher.__doc__ == "Says its name."
