"""`settings`: which SR_* variables there are and what is in effect; and docs/settings.md, which is made of the same."""

import argparse
import ast
import inspect
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sr_tasks.commands.arguments import common, table
from sr_tasks.config import GROUPS, READ_ELSEWHERE, REPOSITORY, Settings
from sr_tasks.environment import takes, variables_of
from sr_tasks.telemetry.redaction import redacted

_HEAD = """# Settings

Variables of the environment, read once where a process starts. The program ends at a value that is not accepted, and
says what the variable takes. It ends at an `SR_` variable that does not exist, and names the nearest one that does.
`python -m sr_tasks settings` shows what is in effect.

This page is made by `python -m sr_tasks settings --page`.
"""


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Hook the verb `settings` into a command line."""
    settings = commands.add_parser("settings", help="show every setting, what it takes, and what is in effect")
    settings.add_argument("--page", action="store_true", help="print docs/settings.md instead")
    common(settings, _settings, _describe)


def _settings(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    if args.page:
        return {"page": page()}
    accepted = takes(Settings)
    rows = [
        {"name": name, "value": redacted(_shown(getattr(settings, field))), "takes": accepted[field]}
        for name, field in variables_of(Settings).items()
    ]
    return {"settings": rows}


def _describe(result: dict[str, Any]) -> str:
    if "page" in result:
        return str(result["page"]).rstrip()
    header = ("name", "value", "takes")
    return table(header, [tuple(str(row[key]) for key in header) for row in result["settings"]])


def page() -> str:
    """The page as Markdown: a table for each group, then the variables that others read."""
    return "\n".join([_HEAD, *_tables(), *_elsewhere()])


def _tables() -> Iterator[str]:
    starts = {first: heading for heading, first in GROUPS.items()}
    accepted, meanings, defaults = takes(Settings), _meanings(), Settings()
    for name, field in variables_of(Settings).items():
        if field in starts:
            first = not list(variables_of(Settings).values()).index(field)
            yield f"{'' if first else chr(10)}## {starts[field]}\n\n| variable | takes | default | meaning |"
            yield "| --- | --- | --- | --- |"
        default = _portable(_shown(getattr(defaults, field)))
        shown = f"`{default}`" if default else "empty"
        yield f"| `{name}` | {accepted[field]} | {shown} | {meanings[field]} |"


def _elsewhere() -> Iterator[str]:
    yield "\n## Read by others\n\nNot settings of a job: the launcher, the containers and the tests read them.\n"
    yield "| variable | read by, for what |\n| --- | --- |"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in READ_ELSEWHERE.items())
    yield ""


def _meanings() -> dict[str, str]:
    """Field -> the text below it in the source of Settings, on one line."""
    (body,) = (
        node.body
        for node in ast.parse(textwrap.dedent(inspect.getsource(Settings))).body
        if isinstance(node, ast.ClassDef)
    )
    found = {}
    for one, following in zip(body, body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(following, ast.Expr):
            found[one.target.id] = " ".join(str(ast.literal_eval(following.value)).split())
    return found


def _shown(value: object) -> str:
    """A value as a person would write it into the variable."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ":".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _portable(text: str) -> str:
    """Paths of this machine as those of any."""
    return text.replace(str(REPOSITORY), ".").replace(str(Path(tempfile.gettempdir())), "<temporary folder>")
