"""What triggers told, as the run that they started sees it. Reads the context of a task and nothing else."""

from typing import Any

from airflow.sdk import get_current_context


def payloads(key: str) -> list[dict[str, Any]] | None:
    """The rows under `key` in all events that this run was started by; None for a run that no event started."""
    events = get_current_context().get("triggering_asset_events") or {}
    told = [event.extra.get("payload", {}) for group in events.values() for event in group]
    return [row for payload in told for row in payload.get(key, ())] if told else None
