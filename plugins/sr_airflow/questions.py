"""Questions that wait for a person, a small file each in the state folder: what was asked in which try, when it lapses.

Airflow tells a task neither what it asked in an earlier try nor when that lapses. Asks and tells nobody.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loguru import logger
from pydantic import BaseModel, ConfigDict, ValidationError

from sr_tasks.config import Settings
from sr_tasks.storage.atomic import sweep_partials, write_text
from sr_tasks.storage.hashing import name_of

_FORGOTTEN_AFTER = timedelta(days=7)
"""Past its lapse: a question of a run that was deleted is answered by nobody."""


class Question(BaseModel):
    """One question. Answered ones have no file any more."""

    model_config = ConfigDict(frozen=True)

    dag_id: str
    run_id: str
    task_id: str
    accepted_at: datetime | None
    """When the run was; tells it from a later one with the same id."""
    try_number: int
    asked_at: datetime
    lapses_at: datetime


def remember(context: Mapping[str, Any], waits: timedelta, settings: Settings) -> None:
    """Note what the current try has just asked. Raises OSError."""
    ti, now = context["ti"], datetime.now(UTC)
    question = Question(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        accepted_at=context["dag_run"].run_after,
        try_number=ti.try_number,
        asked_at=now,
        lapses_at=now + waits,
    )
    write_text(_path(ti.run_id, settings), question.model_dump_json())


def forget(run_id: str, settings: Settings) -> None:
    _path(run_id, settings).unlink(missing_ok=True)


def asked_before(context: Mapping[str, Any], settings: Settings) -> Question | None:
    """What an earlier try of this run asked, which was lost before it took an answer; None if none did."""
    ti, asked = context["ti"], _load(_path(context["ti"].run_id, settings))
    is_ours = (
        asked is not None
        and asked.accepted_at == context["dag_run"].run_after
        and (asked.dag_id, asked.task_id) == (ti.dag_id, ti.task_id)
        and asked.try_number < ti.try_number
    )
    return asked if is_ours else None


def lapsing(settings: Settings, now: datetime) -> list[Question]:
    """Those that lapse within the reminder's time, and were asked before it. Forgets those that lapsed long ago."""
    ahead = timedelta(hours=settings.review_reminder_h)
    found = []
    for path in _folder(settings).glob("*.json"):
        question = _load(path)
        if question is None:
            continue
        if question.lapses_at + _FORGOTTEN_AFTER < now:
            path.unlink(missing_ok=True)
            sweep_partials(path)
        elif question.asked_at < question.lapses_at - ahead <= now:
            found.append(question)
    return sorted(found, key=lambda question: question.lapses_at)


def _load(path: Path) -> Question | None:
    try:
        return Question.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError as exc:
        logger.warning("the question in {} cannot be read: {}", path, exc)
        return None


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "questions"


def _path(run_id: str, settings: Settings) -> Path:
    return _folder(settings) / f"{name_of(run_id)}.json"
