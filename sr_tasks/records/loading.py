"""YAML files that people write, read as records; and what pydantic found wrong, as one sentence."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sr_tasks.errors import SrError

Record = TypeVar("Record", bound=BaseModel)


def load_yaml(path: Path, kind: type[Record], error: type[SrError], *, what: str, hint: str) -> Record:
    """The record in a file; an empty file is one without fields.

    Raises FileNotFoundError, and `error` for a file that cannot be read or is not valid: `what` names it there.
    """
    content = read_yaml(path, error, what=what, hint=hint)
    try:
        return kind.model_validate({} if content is None else content)
    except ValidationError as exc:
        raise error(f"{what} {path} is not valid: {problem(exc, whole='the file')}.", hint=hint) from exc


def read_yaml(path: Path, error: type[SrError], *, what: str, hint: str) -> object:
    """The content of a file as plain data. Raises FileNotFoundError, and `error` for a file that cannot be read."""
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise error(f"{what} {path} cannot be read: {exc}.", hint=hint) from exc
    return content


def problem(exc: ValidationError, whole: str = "") -> str:
    """The first thing that is wrong, with its place and its value: `routes.0.model: Input should be ... (got 7)`.

    `whole` names the place where everything is wrong.
    """
    first = exc.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or whole
    reason = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in ("missing", "value_error") else f" (got {first['input']!r:.80})"
    return f"{place}: {reason}{given}" if place else f"{reason}{given}"
