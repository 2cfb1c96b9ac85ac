"""The order in which jobs get free devices: by when they came, with a head start for a high priority. Pure."""

from datetime import datetime
from typing import Any

HEAD_START_MIN: dict[str, int] = {"high": 4 * 60, "normal": 0, "low": -12 * 60}
"""How much earlier than it did a job counts as having come."""


def weight(request: Any, accepted_at: datetime | None) -> int:
    """The `priority_weight` of a job's tasks; the higher goes first, and it always fits Airflow's 32-bit column.

    It falls with the time of acceptance, so no job is overtaken for ever: a low one waits for normal ones that came up
    to 12 hours later, and not for those after them. A request that says nothing valid counts as normal. All weights are
    below those of other Dags, whose small tasks keep things going.
    """
    if accepted_at is None:
        return 1
    priority = request.get("priority") if isinstance(request, dict) else None
    head_start = HEAD_START_MIN.get(priority, 0) if isinstance(priority, str) else 0
    return head_start - int(accepted_at.timestamp()) // 60
