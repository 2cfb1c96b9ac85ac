"""Progress as a person, a file and a failing observer see it."""

import contextlib
import fcntl
import io
import json
import os
import pty
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sr_tasks.telemetry.durations import in_words, on_a_clock
from sr_tasks.telemetry.progress import ChunkDone, Event, FramesDone, JobEnded, Observers, PhaseStarted, ProgressFile
from sr_tasks.telemetry.terminal import Bar, PlainLines, describe, drawn, for_stream


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Kept:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)


class Failing:
    calls = 0

    def on_event(self, event: Event) -> None:
        self.calls += 1
        raise BrokenPipeError("nobody reads")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    lines = io.StringIO()
    sink = logger.add(lines, format="{level} {message}")
    yield lines
    logger.remove(sink)


def frames(done: int, total: int = 377, fps: float = 12.3) -> FramesDone:
    return FramesDone(done=done, total=total, fps=fps)


def test_an_observer_that_fails_is_logged_once_and_the_others_go_on(log: io.StringIO) -> None:
    first, failing, last = Kept(), Failing(), Kept()
    observers = Observers([first, failing, last])
    events: list[Event] = [PhaseStarted(phase="planning"), frames(1), JobEnded(status="COMPLETED")]
    for event in events:
        observers.on_event(event)
    assert first.events == last.events == events
    assert failing.calls == 1
    assert log.getvalue().count("ERROR the observer Failing failed") == 1
    assert "BrokenPipeError: nobody reads" in log.getvalue()


def test_plain_lines_come_at_phases_and_every_five_seconds() -> None:
    out, clock = io.StringIO(), Clock()
    lines = PlainLines(out, clock=clock)
    lines.on_event(PhaseStarted(phase="upscaling"))
    lines.on_event(ChunkDone(index=0, chunks=3, is_resumed=True))
    lines.on_event(ChunkDone(index=1, chunks=3, is_resumed=False))
    for second in range(13):
        clock.now = 100.0 + second
        lines.on_event(frames(second * 10))
    lines.on_event(PhaseStarted(phase="assembling"))
    lines.on_event(JobEnded(status="COMPLETED"))
    assert out.getvalue().splitlines() == [
        "upscaling",
        "chunk 1 of 3 was done before",
        "upscaling 50/377 frames, 12.3 fps, 0:27 left",
        "upscaling 100/377 frames, 12.3 fps, 0:23 left",
        "upscaling 120/377 frames, 12.3 fps, 0:21 left",
        "assembling",
        "COMPLETED",
    ]


def test_the_bar_is_one_line_drawn_at_most_ten_times_a_second() -> None:
    out, clock = io.StringIO(), Clock()
    bar = Bar(out, clock=clock)
    bar.on_event(PhaseStarted(phase="upscaling"))
    for done in range(378):
        clock.now += 0.01
        bar.on_event(frames(done))
    bar.on_event(JobEnded(status="COMPLETED"))
    drawings = out.getvalue().split("\r\x1b[K")[1:]
    assert 35 <= len(drawings) <= 42
    assert drawings[-2] == "upscaling [########################] 100 % 377/377 frames, 12.3 fps"
    assert drawings[-1] == "COMPLETED\n"
    assert out.getvalue().count("\n") == 1


def test_the_bar_fits_a_narrow_terminal_and_is_chosen_for_one() -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
        bar = for_stream(stream)
        assert isinstance(bar, Bar)
        bar.on_event(PhaseStarted(phase="upscaling"))
        bar.on_event(frames(377))
    drawn_text = ""
    with contextlib.suppress(OSError):  # a terminal gives what it has, in pieces, and then says that nobody is there
        while piece := os.read(leader, 4096):
            drawn_text += piece.decode()
    os.close(leader)
    assert max(len(part) for part in drawn_text.split("\r\x1b[K")) == 39
    assert isinstance(for_stream(io.StringIO()), PlainLines)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (frames(0, 0, 0.0), "0 frames"),
        (frames(5, 0, 2.0), "5 frames, 2.0 fps"),
        (frames(5, 10, 0.0), "5/10 frames"),
        (frames(0, 7200, 1.0), "0/7200 frames, 1.0 fps, 2:00:00 left"),
        (frames(12, 10, 1.0), "12/10 frames, 1.0 fps"),
    ],
)
def test_only_what_is_known_is_said(event: FramesDone, text: str) -> None:
    assert describe(event) == text
    assert len(drawn(event)) == 32


def test_times_are_rounded_up() -> None:
    assert [on_a_clock(s) for s in (0.0, 0.1, 59.5, 61.0, 3599.2)] == ["0:00", "0:01", "1:00", "1:01", "1:00:00"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0 s"),
        (0, "0 s"),
        (0.5, "0.5 s"),
        (4.8, "4.8 s"),
        (59, "59 s"),
        (59.994, "59.99 s"),
        (59.996, "1 min"),
        (61, "1 min 1 s"),
        (720, "12 min"),
        (3719, "1 h 1 min"),
        (3 * 3600 + 125, "3 h 2 min"),
        (43200, "12 h"),
        (90000, "1 d 1 h"),
    ],
)
def test_lengths_of_time_read_well(seconds: float, text: str) -> None:
    assert in_words(seconds) == text


def test_the_file_holds_the_newest_count_at_most_once_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "progress" / "3.json", Clock()
    file = ProgressFile(path, clock=clock)
    file.on_event(PhaseStarted(phase="upscaling"))
    assert not path.parent.exists()

    def done() -> int:
        found: int = json.loads(path.read_text())["done"]
        return found

    file.on_event(frames(1))
    clock.now += 0.9
    file.on_event(frames(2))
    assert done() == 1
    clock.now += 0.1
    file.on_event(frames(3))
    assert done() == 3
    file.on_event(frames(377))
    record = json.loads(path.read_text())
    assert record == {"done": 377, "total": 377, "fps": 12.3, "updated": record["updated"]}
    assert record["updated"] == pytest.approx(time.time(), abs=600)
    assert [found.name for found in path.parent.iterdir()] == ["3.json"]


def test_a_reader_of_the_file_never_sees_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "0.json"
    file = ProgressFile(path, interval_s=0.0)
    file.on_event(frames(1))
    with path.open() as held:
        file.on_event(frames(2))
        assert json.load(held)["done"] == 1
    assert json.loads(path.read_text())["done"] == 2


def test_a_file_that_cannot_be_written_does_not_break_the_work(tmp_path: Path, log: io.StringIO) -> None:
    (tmp_path / "file").touch()
    observers = Observers([ProgressFile(tmp_path / "file" / "0.json")])
    observers.on_event(frames(1))
    assert "the observer ProgressFile failed" in log.getvalue()
