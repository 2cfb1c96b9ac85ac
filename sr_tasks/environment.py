"""Settings from environment variables: a dataclass says which there are and what each takes.

The field `max_pixels` is the variable SR_MAX_PIXELS; its annotation gives type and range. Reads no variable by itself.
"""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from sr_tasks.errors import UsageError

Kind = TypeVar("Kind")

PREFIX = "SR_"
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "0 or 1",
    "array": "words with `:` between them",
}


def _parts(value: object) -> object:
    return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value


def _off_if_empty(value: object) -> object:
    return False if value == "" else value


Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveAmount = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]
Switch = Annotated[bool, BeforeValidator(_off_if_empty)]
Words = Annotated[tuple[str, ...], BeforeValidator(_parts)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_parts)]


def read(kind: type[Kind], env: Mapping[str, str]) -> Kind:
    """The dataclass `kind` from the variables of its fields; those that are not there have their defaults.

    Raises UsageError that names variable, value and what it takes.
    """
    names = variables_of(kind)
    try:
        found: Kind = _validated(kind, {field: env[name] for name, field in names.items() if name in env})
    except ValidationError as exc:
        name = f"{PREFIX}{str(exc.errors(include_url=False)[0]['loc'][0]).upper()}"
        raise UsageError(
            f"{name}={env[name]!r} is not accepted: it takes {takes(kind)[names[name]]}.",
            hint="docs/settings.md says what it is for.",
        ) from exc
    return found


def variables_of(kind: type) -> dict[str, str]:
    """Variable -> field of a dataclass, in its order."""
    return {f"{PREFIX}{one.name.upper()}": one.name for one in fields(kind)}


def takes(kind: type) -> dict[str, str]:
    """Field -> what a value may be, with its range, in words; `text` for anything."""
    return {name: _takes(about) for name, about in _adapter(kind).json_schema()["properties"].items()}


def refuse_unknown(env: Mapping[str, str], known: Collection[str], elsewhere: Collection[str]) -> None:
    """Raises UsageError for an SR_* variable that nobody reads, with the nearest one that somebody does."""
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in known and name not in elsewhere:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else "docs/settings.md lists the settings."
            raise UsageError(f"There is no setting {name}.", hint=hint)


def _validated(kind: type, given: Mapping[str, str]) -> Any:
    return _adapter(kind).validate_python(given)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _takes(about: Mapping[str, Any]) -> str:
    if about.get("format") == "path" or about.get("items", {}).get("format") == "path":
        return "folders with `:` between" if about["type"] == "array" else "a path"
    kind = _KINDS.get(about["type"], "text")
    least, most, above = (about.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if least is not None and most is not None:
        return f"{kind} from {least:g} to {most:g}"
    if least is not None:
        return f"{kind} from {least:g} up"
    return kind if above is None else f"{kind} above {above:g}"
