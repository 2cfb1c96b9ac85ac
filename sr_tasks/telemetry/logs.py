"""Sets up loguru: where lines go, what each one carries, and what never gets into one. Decides nothing else."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError
from sr_tasks.telemetry.redaction import redacted

if TYPE_CHECKING:
    from loguru import Message, Record

_LABELS = ("job", "step", "chunk")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {9: "\t", 10: "\\n", 13: "\\r"}
_ERASE_LINE = "\r\x1b[K"
_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
_process_labels: ContextVar[dict[str, Any]] = ContextVar("process_labels")


def configure(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send log lines to `stream` (standard error if none), in text or JSON, from the level of the settings on.

    Whatever was set up before is replaced. Raises UsageError for a level that does not exist.
    """
    sink = _StreamSink(stream or sys.stderr, as_json=settings.log_json)
    _replace_sinks(sink, settings.log_level)


def bridge_to_logging(settings: Settings) -> None:
    """Send log lines to the standard `logging` logger `sr_tasks` instead, whose handlers belong to the host program.

    Airflow shows them in the task's log that way. Raises UsageError for a level that does not exist.
    """
    _replace_sinks(_to_logging, settings.log_level)
    logging.getLogger("sr_tasks").setLevel(_number(settings.log_level))


@contextmanager
def job_context(job_id: str, *, step: str = "", chunk: int | None = None) -> Iterator[None]:
    """Label every line logged inside with the job, and with step and chunk where there are any.

    Threads started inside do not inherit a context, so the labels are also the process's own while this lasts; two
    jobs at once in one process would share those.
    """
    outer = _process_labels.get({})
    labels = {**outer, "job": job_id}
    if step:
        labels["step"] = step
    if chunk is not None:
        labels["chunk"] = chunk
    token = _process_labels.set(labels)
    logger.configure(extra=labels)
    try:
        with logger.contextualize(**labels):
            yield
    finally:
        _process_labels.reset(token)
        logger.configure(extra=outer)


class _StreamSink:
    """Writes one line a record. On a terminal the line first wipes a progress bar that may stand there."""

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._render = _json_line if as_json else _text_line
        self._lead = _ERASE_LINE if stream.isatty() and not as_json else ""

    def __call__(self, message: "Message") -> None:
        self._stream.write(f"{self._lead}{self._render(message.record)}\n")
        self._stream.flush()


def _to_logging(message: "Message") -> None:
    record = message.record
    target = logging.getLogger("sr_tasks")
    number = record["level"].no
    if not target.isEnabledFor(number):
        return
    text = " ".join(filter(None, (_labels(record), _one_line(record["message"]))))
    if trace := _trace(record):
        text = f"{text}\n{trace}"
    target.handle(
        target.makeRecord(
            target.name, number, record["file"].path, record["line"], text, (), None, func=record["function"]
        )
    )


def _text_line(record: "Record") -> str:
    parts = (
        record["time"].strftime("%H:%M:%S.%f")[:-3],
        f"{record['level'].name:<7}",
        _labels(record),
        _one_line(record["message"]),
    )
    line = " ".join(part for part in parts if part)
    trace = _trace(record)
    return f"{line}\n{trace}" if trace else line


def _json_line(record: "Record") -> str:
    line: dict[str, object] = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": redacted(record["message"]),
        "module": record["name"],
    }
    line |= {key: redacted(value) if isinstance(value, str) else value for key, value in record["extra"].items()}
    if trace := _trace(record):
        line["exception"] = trace
    return json.dumps(line, ensure_ascii=False, default=lambda value: redacted(str(value)))


def _labels(record: "Record") -> str:
    extra = record["extra"]
    return " ".join(f"{key}={_one_line(str(extra[key]))}" for key in _LABELS if key in extra)


def _one_line(text: str) -> str:
    """File names may hold anything: a line break or an escape sequence in one must not forge a line."""
    return redacted(text).translate(_CONTROL)


def _trace(record: "Record") -> str:
    caught = record["exception"]
    if caught is None or caught.value is None:
        return ""
    return redacted("".join(traceback.format_exception(caught.value)).rstrip())


def _replace_sinks(sink: Any, level: str) -> None:
    _number(level)
    logger.remove()
    # diagnose would print the values of variables, secrets among them.
    logger.add(sink, level=level.upper(), format="{message}", backtrace=False, diagnose=False, catch=True)


def _number(level: str) -> int:
    try:
        return logger.level(level.upper()).no
    except ValueError as exc:
        raise UsageError(f"SR_LOG_LEVEL={level!r} is not a log level.", hint="An example: INFO or DEBUG.") from exc
