"""What a log line carries, where it goes, and what never gets into one."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.telemetry.logs import bridge_to_logging, configure, job_context


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def loguru_as_it_was() -> Iterator[None]:
    yield
    logger.remove()
    libav = logging.getLogger("libav")
    libav.handlers.clear()
    libav.propagate = True
    libav.setLevel(logging.NOTSET)


def test_a_line_carries_job_step_and_chunk() -> None:
    out = io.StringIO()
    configure(Settings(), stream=out)
    with job_context("job-1"):
        logger.info("planned {} chunks", 7)
        with job_context("job-1", step="upscale", chunk=3):
            logger.warning("slow")
        logger.info("joined")
    logger.info("idle")
    lines = out.getvalue().splitlines()
    assert [line.split(" ", 1)[1].split(maxsplit=1) for line in lines] == [
        ["INFO", "job=job-1 planned 7 chunks"],
        ["WARNING", "job=job-1 step=upscale chunk=3 slow"],
        ["INFO", "job=job-1 joined"],
        ["INFO", "idle"],
    ]


def test_threads_carry_the_labels_too_also_after_an_inner_context() -> None:
    out = io.StringIO()
    configure(Settings(), stream=out)

    def in_thread(text: str) -> None:
        thread = threading.Thread(target=logger.info, args=(text,))
        thread.start()
        thread.join()

    with job_context("job-1"):
        with job_context("job-1", step="upscale", chunk=0):
            in_thread("inner")
        in_thread("outer")
    in_thread("after")
    assert [line.split("INFO    ")[1] for line in out.getvalue().splitlines()] == [
        "job=job-1 step=upscale chunk=0 inner",
        "job=job-1 outer",
        "after",
    ]


def test_json_lines_are_one_object_each() -> None:
    out = io.StringIO()
    configure(Settings(log_json=True), stream=out)
    with job_context("job-1", step="upscale", chunk=3):
        logger.info('two\nlines, "quoted", ü')
        try:
            raise ValueError("password=hunter2")
        except ValueError:
            logger.exception("broke off")
    first, second = [json.loads(line) for line in out.getvalue().splitlines()]
    assert first["message"] == 'two\nlines, "quoted", ü'
    assert (first["job"], first["step"], first["chunk"], first["level"]) == ("job-1", "upscale", 3, "INFO")
    assert "ValueError" in second["exception"]
    assert "hunter2" not in out.getvalue()


def test_the_level_of_the_settings_holds_and_must_exist() -> None:
    out = io.StringIO()
    configure(Settings(log_level="warning"), stream=out)
    logger.info("quiet")
    logger.warning("loud")
    assert "quiet" not in out.getvalue()
    assert "loud" in out.getvalue()
    for setup in (configure, bridge_to_logging):
        with pytest.raises(UsageError, match="SR_LOG_LEVEL='LOUD'"):
            setup(Settings(log_level="LOUD"))


@pytest.mark.parametrize("as_json", [False, True])
def test_no_secret_gets_into_a_line_or_a_traceback(as_json: bool) -> None:
    out = io.StringIO()
    configure(Settings(log_json=as_json), stream=out)
    link = "https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F1&X-Amz-Signature=abc123def"
    password = "hunter2"
    with job_context("job password=hunter2"):
        logger.info("fetched {}", link)
        try:
            raise RuntimeError(link + f" password={password}")
        except RuntimeError:
            logger.exception("token={}", "hunter2")
    said = out.getvalue()
    assert said.count("***") >= 6
    for secret in ("AKIA", "abc123def", "hunter2"):
        assert secret not in said


def test_a_file_name_cannot_forge_a_line_or_steer_a_terminal() -> None:
    out = io.StringIO()
    configure(Settings(), stream=out)
    logger.info("source {}", "a\n12:00:00 ERROR forged\x1b[2J\x9b\r.mp4")
    assert len(out.getvalue().splitlines()) == 1
    assert "\\n12:00:00" in out.getvalue()
    assert not {"\x1b", "\x9b", "\r"} & set(out.getvalue())


def test_braces_in_what_is_logged_are_text() -> None:
    out = io.StringIO()
    configure(Settings(), stream=out)
    logger.info("source {}", "{0.__class__}<red>{missing}")
    assert "{0.__class__}<red>{missing}" in out.getvalue()


def test_on_a_terminal_a_line_wipes_the_progress_bar() -> None:
    out = Terminal()
    configure(Settings(), stream=out)
    logger.info("fact")
    assert out.getvalue().startswith("\r\x1b[K")


def test_lines_reach_the_handlers_of_standard_logging(caplog: pytest.LogCaptureFixture) -> None:
    bridge_to_logging(Settings())
    with job_context("job-1", step="plan"):
        logger.debug("hidden")
        logger.warning("cut at {}", "100 %s token=hunter2")
        try:
            raise KeyError("lost")
        except KeyError:
            logger.exception("broke off")
    warning, error = caplog.records
    assert (warning.name, warning.levelname, warning.funcName) == (
        "sr_tasks",
        "WARNING",
        "test_lines_reach_the_handlers_of_standard_logging",
    )
    assert warning.getMessage() == "job=job-1 step=plan cut at 100 %s token=***"
    assert error.getMessage().startswith("job=job-1 step=plan broke off\nTraceback")


def test_the_bridge_says_what_the_level_allows(caplog: pytest.LogCaptureFixture) -> None:
    bridge_to_logging(Settings(log_level="DEBUG"))
    logger.debug("detail")
    assert [record.getMessage() for record in caplog.records] == ["detail"]


def test_a_sink_that_fails_does_not_break_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    configure(Settings(), stream=out)
    out.close()
    logger.info("into the void")
    assert "ValueError" in capsys.readouterr().err
