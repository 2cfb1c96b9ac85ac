"""Steps that do nothing but note that they were called."""

from types import SimpleNamespace
from typing import Any

STEPS = ("validate", "plan", "prepare_model", "upscale", "assemble", "assess", "gate", "deliver", "report", "clean")


class FakeSteps:
    """Stands in for sr_tasks.steps: notes each call, and raises what it was told to, once or always."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.raises: dict[str, list[Exception]] = {}

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def module(self, name: str) -> SimpleNamespace:
        def run(*arguments: Any, **named: Any) -> dict[str, Any]:
            self.calls.append((name, (*arguments, *named.values())))
            if self.raises.get(name):
                raise self.raises[name].pop(0)
            return {"plan": {"chunks": [0, 1, 2], "frames": 9}, "gate": {"review": False}}.get(name, {})

        return SimpleNamespace(run=run)
