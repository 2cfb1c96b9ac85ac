"""What all callbacks begin with: the settings, what the context says of the run, and that nothing in them breaks it.

Tells nobody anything itself.
"""

import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ParamSpec

from loguru import logger

from sr_tasks.config import Settings
from sr_tasks.telemetry import logs

_Given = ParamSpec("_Given")


def quietly(tells: Callable[_Given, None]) -> Callable[_Given, None]:
    """Alerts observe: whatever goes wrong in one is logged, and what is observed goes on."""

    @functools.wraps(tells)
    def guarded(*given: _Given.args, **named: _Given.kwargs) -> None:
        try:
            tells(*given, **named)
        except Exception as exc:
            logger.opt(exception=exc).error("{} could not tell anybody: {}", tells.__name__, exc)

    return guarded


def settings_of_callback() -> Settings:
    """Read in the process that Airflow calls back in, whose log is Airflow's. Raises UsageError."""
    settings = Settings.from_env()
    logs.bridge_to_logging(settings)
    return settings


def dag_of(context: Mapping[str, Any]) -> str:
    """The id of the Dag that the context is of."""
    return str(context["dag"].dag_id)


def run_of(context: Mapping[str, Any]) -> str:
    """Tells one run under an id from the next, after it was cleared."""
    run = context.get("dag_run")
    return str(getattr(run, "clear_number", None) or 0) if run is not None else ""


def began(context: Mapping[str, Any]) -> datetime | None:
    """When the run began; None where Airflow does not say."""
    at = getattr(context.get("dag_run"), "start_date", None)
    return at if isinstance(at, datetime) else None
