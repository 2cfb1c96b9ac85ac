"""Options of a command line that asks for a job, made from the fields of JobSpec. Owns no field of its own."""

import argparse
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

from sr_tasks.jobs.spec import JobSpec

POSITIONAL = ("source", "output")
"""Fields that are no options: the file that comes in and the file that goes out."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for each field: `--deadline-minutes` for `deadline_minutes`, `--no-gate` for `gate`.

    A value that is left out, or empty, is None. What is given is checked by JobSpec alone.
    """
    for name, field in JobSpec.model_fields.items():
        if name in POSITIONAL:
            continue
        flag, kinds = name.replace("_", "-"), _kinds(field.annotation)
        text = (field.description or field.title or name).replace("`", "").replace("%", "%%")
        if kinds == (bool,):
            is_on = bool(field.default)
            parser.add_argument(
                f"--no-{flag}" if is_on else f"--{flag}", dest=name, action="store_const", const=not is_on, help=text
            )
            continue
        parser.add_argument(f"--{flag}", type=_reader(kinds), metavar=_metavar(field.annotation, name), help=text)


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of JobSpec that were given."""
    values = {name: getattr(options, name, None) for name in JobSpec.model_fields}
    return {name: value for name, value in values.items() if value not in (None, "")}


def _kinds(annotation: Any) -> tuple[type, ...]:
    """Types of the values that a field takes, None left out."""
    if get_origin(annotation) is Literal:
        return tuple({type(value): None for value in get_args(annotation)})
    if parts := get_args(annotation):
        return tuple(kind for part in parts for kind in _kinds(part))
    return () if annotation is type(None) else (annotation,)


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(choice for part in get_args(annotation) for choice in _choices(part))


def _metavar(annotation: Any, name: str) -> str:
    choices = _choices(annotation)
    return "|".join(map(str, choices)) if choices else name.rpartition("_")[2].upper()


def _reader(kinds: tuple[type, ...]) -> Callable[[str], Any]:
    if int in kinds:
        return _int
    return _float if float in kinds else str


def _int(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from exc


def _float(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from exc
