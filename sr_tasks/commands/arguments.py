"""What every verb of the command line shares: how a wrong argument is refused, and the options all of them take."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from sr_tasks.config import Settings
from sr_tasks.errors import UsageError

Command = Callable[[argparse.Namespace, Settings], dict[str, Any]]
Describe = Callable[[dict[str, Any]], str]


class Parser(argparse.ArgumentParser):
    """Refuses what it cannot read as a UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"See {self.prog} --help.")


def common(parser: argparse.ArgumentParser, command: Command, describe: Describe) -> None:
    """Give a verb its options, its work, and the words for its result."""
    parser.add_argument("--workdir", metavar="DIR", help="scratch folder (default: SR_WORKDIR)")
    parser.add_argument("--json", action="store_true", help="the last line of output is one JSON object")
    parser.set_defaults(command=command, describe=describe)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell, two spaces between them."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [header, *rows]]
    return "\n".join(line.rstrip() for line in lines)
