"""The rows of the drill: fault, what was seen, what ended it, and how long that took. Causes nothing itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from sr_tasks.errors import SrError
from tests.monitoring.drill_rules import Span
from tests.monitoring.drill_world import NotSeen, World, until


@dataclass(kw_only=True)
class Case:
    """A row of the table."""

    world: World
    alert: str
    fault: str
    _caused_s: float = field(default_factory=time.monotonic)
    _span: Span | None = None
    _remedied_s: float = 0.0
    _has_ended: bool = False
    _seen: list[str] = field(default_factory=list)
    remedy: str = ""
    failure: str = ""

    def __post_init__(self) -> None:
        print(f"{self.alert}: {self.fault}", flush=True)

    def fires(self) -> None:
        """Wait until Prometheus says so. Raises NotSeen."""
        self._span = until(self._fired, f"{self.alert} fires")
        print(f"{self.alert} fired after {self.fired_after}", flush=True)

    def sees(self, what: str, holds: Callable[[], Any]) -> None:
        """Wait for what the runbook says is there to be seen. Raises NotSeen."""
        until(holds, f"{self.alert}: {what}")
        self._seen.append(what)

    def saw(self, what: str, found: object) -> None:
        """Something that was looked up once. Raises NotSeen if there was nothing."""
        if not found:
            raise NotSeen(f"{self.alert}: {what}")
        self._seen.append(what)

    def remedied(self, how: str) -> None:
        self.remedy, self._remedied_s = how, time.monotonic()

    def failed(self, exc: Exception) -> None:
        self.failure = f"FAILED: {exc}"
        print(f"{self.alert} {self.failure}", flush=True)

    def ends(self) -> None:
        """Wait until the alert is gone. Raises NotSeen."""
        until(lambda: all(span.end_s for span in self._spans()), f"{self.alert} ends")
        if not self._has_ended:
            print(f"{self.alert} was gone after {self.gone_after}", flush=True)
        self._has_ended = True

    @property
    def has_fired(self) -> bool:
        return self._fired() is not None

    @property
    def fired_after(self) -> str:
        return f"{self._span.start_s - self._caused_s:.0f} s" if self._span else "-"

    @property
    def gone_after(self) -> str:
        ends = [span.end_s for span in self._spans() if span.end_s and span.start_s <= self._remedied_s]
        return f"{max(0.0, ends[-1] - self._remedied_s):.0f} s" if ends and self._remedied_s else "-"

    def row(self) -> str:
        seen = "; ".join(self._seen)
        last = self.failure or self.remedy
        return f"| {self.alert} | {self.fault} | {self.fired_after} | {seen} | {last} | {self.gone_after} |"

    def _spans(self) -> list[Span]:
        """Those since the fault, or still open then."""
        return [s for s in self.world.prometheus.spans(self.alert) if not s.end_s or s.end_s > self._caused_s]

    def _fired(self) -> Span | None:
        spans = [span for span in self._spans() if span.start_s >= self._caused_s]
        return spans[0] if spans else None


class Round:
    """The cases of one run of the drill."""

    def __init__(self, world: World) -> None:
        self.world, self.cases = world, list[Case]()

    def case(self, alert: str, fault: str) -> Case:
        self.cases.append(Case(world=self.world, alert=alert, fault=fault))
        return self.cases[-1]

    def do(self, drill: Callable[["Round"], None]) -> None:
        """One that fails is noted, and the others go on."""
        before = len(self.cases)
        try:
            drill(self)
        except (NotSeen, SrError, psutil.Error, OSError, AssertionError) as exc:
            for case in self.cases[before:]:
                if not case.remedy:
                    case.failed(exc)
            self.world.client.set_pool(1)

    def await_the_ends(self) -> None:
        """Of what is told for long after it was mended."""
        for case in self.cases:
            try:
                case.ends()
            except NotSeen as exc:
                case.failed(exc)
