"""Look after the candidates of all models, as the Dag `watch_releases` does every quarter of an hour."""

from typing import Any

from sr_tasks.config import Settings
from sr_tasks.registry.registry import Registry
from sr_tasks.release.watch import consider


def run(settings: Settings) -> dict[str, Any]:
    """Look after every model that has a candidate. Returns the decisions by label."""
    registry = Registry.of(settings)
    decisions = {}
    for name in registry.names():
        candidate = registry.channels(name).candidate
        judgement = consider(name, settings)
        if judgement is not None:
            decisions[f"{name}@{candidate}"] = judgement.decision
    return {"decisions": decisions}
