"""What all callbacks begin with: the settings, and what the context says of the run.

Tells nobody anything itself.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sr_tasks.config import Settings
from sr_tasks.telemetry import logs


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
