"""Routes: which model a job gets that asks for `auto`, as `routing.yaml` among the models says. Whatever is wrong in it
is refused when it is loaded. Looks at no source; loads no runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sr_tasks.config import Settings
from sr_tasks.errors import ModelRejected, ModelUnknown, RoutesInvalid, ScaleUnsupported
from sr_tasks.jobs.form import Content
from sr_tasks.records.degradation import Degradation, DegradationKind
from sr_tasks.records.loading import load_yaml
from sr_tasks.registry.entry import ModelEntry
from sr_tasks.registry.licences import is_allowed
from sr_tasks.registry.registry import Registry

FILE: Final = "routing.yaml"
SCALES: Final = (1, 2, 4)
REQUIRED_DEFAULTS: Final = (2, 4)

T = TypeVar("T")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_listed), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Strict):
    """From `min` on and below `max`."""

    min: float | None = Field(default=None, ge=0)
    max: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _holds_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range has a min, a max or both")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"no value is at least {self.min:g} and below {self.max:g}")
        return self

    def holds(self, value: float) -> bool:
        return (self.min is None or value >= self.min) and (self.max is None or value < self.max)

    def covers(self, other: "Range | None") -> bool:
        """Whether this holds for everything that `other` holds for."""
        if other is None:
            return False
        reaches_down = self.min is None or (other.min is not None and other.min >= self.min)
        reaches_up = self.max is None or (other.max is not None and other.max <= self.max)
        return reaches_down and reaches_up


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What routes may depend on."""

    scale: int
    content: Content
    tenant: str | None
    degradation: Degradation
    width: int
    height: int


class Conditions(_Strict):
    """All that are given must hold; one without any always holds."""

    scale: OneOrMore[int] | None = None
    content: OneOrMore[Content] | None = None
    tenant: OneOrMore[str] | None = None
    degradation: OneOrMore[DegradationKind] | None = None
    level: Range | None = None
    width: Range | None = None
    height: Range | None = None

    @model_validator(mode="after")
    def _scales_are_asked_for(self) -> Self:
        for scale in self.scale or ():
            if scale not in SCALES:
                raise ValueError(f"jobs have the scales {', '.join(map(str, SCALES))}, not {scale}")
        return self

    def hold(self, facts: Facts) -> bool:
        lists: tuple[tuple[Sequence[object] | None, object], ...] = (
            (self.scale, facts.scale),
            (self.content, facts.content),
            (self.tenant, facts.tenant),
            (self.degradation, facts.degradation.kind),
        )
        ranges = (
            (self.level, facts.degradation.level),
            (self.width, facts.width),
            (self.height, facts.height),
        )
        return all(allowed is None or value in allowed for allowed, value in lists) and all(
            allowed is None or allowed.holds(value) for allowed, value in ranges
        )

    def cover(self, other: "Conditions") -> bool:
        """Whether these hold wherever `other` hold."""
        lists: tuple[tuple[Sequence[object] | None, Sequence[object] | None], ...] = (
            (self.scale, other.scale),
            (self.content, other.content),
            (self.tenant, other.tenant),
            (self.degradation, other.degradation),
        )
        ranges = ((self.level, other.level), (self.width, other.width), (self.height, other.height))
        return all(mine is None or (theirs is not None and set(theirs) <= set(mine)) for mine, theirs in lists) and all(
            mine is None or mine.covers(theirs) for mine, theirs in ranges
        )


class Route(_Strict):
    """One line of the table."""

    name: str = Field(min_length=1, max_length=80, description="What people are told when it decides.")
    when: Conditions = Conditions()
    model: str = Field(description="`name`, whose production or candidate a job gets, or `name@version`.")


class Routing(_Strict):
    """`include/models/routing.yaml`."""

    routes: tuple[Route, ...] = ()
    defaults: dict[int, str] = Field(description="Model by scale, where no route holds.")
    styles_allowed: tuple[str, ...] = Field(default=(), description="Models of kind style that jobs may use.")

    def choose(self, facts: Facts) -> tuple[str, str]:
        """The model's name, and why, in a few words. Raises ScaleUnsupported if nothing is said of the scale."""
        for route in self.routes:
            if self.reach(route).hold(facts):
                return route.model, f"route {route.name!r}"
        if facts.scale not in self.defaults:
            raise _no_route(facts.scale)
        return self.defaults[facts.scale], f"the default of scale {facts.scale}"

    def require_scale(self, scale: int) -> None:
        """Raises ScaleUnsupported if no source of this scale could be given a model."""
        if scale not in self.defaults and all(scale not in (route.when.scale or ()) for route in self.routes):
            raise _no_route(scale)

    def reach(self, route: Route) -> Conditions:
        """The route's conditions; one that names no scale is for those that have a default."""
        return route.when.model_copy(update={"scale": route.when.scale or tuple(sorted(self.defaults))})


def load_routing(settings: Settings) -> Routing:
    """The routes of a deployment, all of them proved. Raises RoutesInvalid naming the first that is wrong."""
    path = settings.models_dir / FILE
    try:
        routing = load_yaml(path, Routing, RoutesInvalid, what="The file of routes", hint=_example())
    except FileNotFoundError as exc:
        raise RoutesInvalid(f"There is no {path}.", hint="Name a model instead of `auto`, or write the file.") from exc
    _Check(path=path, registry=Registry.of(settings), settings=settings).all(routing)
    return routing


def routes_table(settings: Settings) -> list[dict[str, Any]]:
    """What the command that checks the routes shows: a row for each, in their order, defaults last. Raises
    RoutesInvalid."""
    routing, registry = load_routing(settings), Registry.of(settings)
    rows = [
        {"route": route.name, "when": route.when.model_dump(mode="json", exclude_none=True), "model": route.model}
        for route in routing.routes
    ]
    rows += [
        {"route": "default", "when": {"scale": [scale]}, "model": model}
        for scale, model in sorted(routing.defaults.items())
    ]
    return [{**row, "production": registry.get(str(row["model"])).label} for row in rows]


@dataclass(frozen=True, kw_only=True)
class _Check:
    """Proves that a routing fits the models there are."""

    path: Path
    registry: Registry
    settings: Settings

    def all(self, routing: Routing) -> None:
        for scale in REQUIRED_DEFAULTS:
            if scale not in routing.defaults:
                raise self._wrong(f"there is no default for scale {scale}", "Add it under `defaults`.")
        for scale, model in routing.defaults.items():
            if scale not in SCALES:
                known = ", ".join(map(str, SCALES))
                raise self._wrong(f"there is a default for scale {scale}", f"Jobs have the scales {known}.")
            self._proved(model, f"the default of scale {scale}", (scale,), routing)
        for name in routing.styles_allowed:
            if self._entry(name, "styles_allowed").card.kind != "style":
                raise self._wrong(f"styles_allowed names {name}, which is no style", "Take it out of the list.")
        for number, route in enumerate(routing.routes):
            for earlier in routing.routes[:number]:
                self._refuse_shadowed(earlier, route, routing)
            self._proved(route.model, f"route {route.name!r}", routing.reach(route).scale or (), routing)

    def _refuse_shadowed(self, earlier: Route, later: Route, routing: Routing) -> None:
        if earlier.name == later.name:
            raise self._wrong(f"two routes are called {later.name!r}", "Give each a name of its own.")
        if routing.reach(earlier).cover(routing.reach(later)):
            raise self._wrong(
                f"route {later.name!r} is never reached: {earlier.name!r} before it takes all that it would",
                "Put the narrower route first.",
            )

    def _proved(self, reference: str, place: str, scales: Sequence[int], routing: Routing) -> None:
        entry = self._entry(reference, place)
        missing = [scale for scale in scales if scale not in entry.card.scales]
        if missing:
            raise self._wrong(
                f"{place} leads to {entry.label}, which cannot enlarge {missing[0]} times",
                f"It can: {', '.join(map(str, entry.card.scales))}; give the route a `scale`, or another model.",
            )
        if not is_allowed(entry.card, self.settings):
            raise self._wrong(
                f"{place} leads to {entry.label}, whose licence {entry.card.licence} this deployment does not allow",
                "Choose another model, or add the licence to SR_ALLOWED_LICENCES.",
            )
        if entry.card.kind == "style" and entry.card.name not in routing.styles_allowed:
            raise self._wrong(f"{place} leads to the style {entry.label}", "Add it to `styles_allowed`.")

    def _entry(self, reference: str, place: str) -> ModelEntry:
        name, _, version = reference.partition("@")
        try:
            if version in self.registry.channels(name).retired:
                raise self._wrong(f"{place} leads to {reference}, which was retired", "Choose another version.")
            return self.registry.get(reference)
        except (ModelUnknown, ModelRejected) as exc:
            raise self._wrong(f"{place} leads to {reference!r}: {exc.message}", exc.hint) from exc

    def _wrong(self, what: str, hint: str) -> RoutesInvalid:
        return RoutesInvalid(f"{self.path}: {what[:1].upper()}{what[1:].rstrip('.')}.", hint=hint)


def _no_route(scale: int) -> ScaleUnsupported:
    return ScaleUnsupported(
        f"No route leads to a model for scale {scale}.",
        hint="Name a model, or give the routes a default for this scale.",
    )


def _example() -> str:
    return "A route: {name: noisy, when: {scale: 2, level: {min: 1.0}}, model: restore-x2}."
