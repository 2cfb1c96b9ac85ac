"""Reads a Dockerfile into its instructions, strictly: what it does not understand is an error."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KNOWN = {
    "FROM",
    "ARG",
    "ENV",
    "RUN",
    "COPY",
    "WORKDIR",
    "USER",
    "EXPOSE",
    "HEALTHCHECK",
    "STOPSIGNAL",
    "ENTRYPOINT",
    "CMD",
}


@dataclass(frozen=True)
class Instruction:
    name: str
    flags: dict[str, str]
    text: str


@dataclass
class Stage:
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [each for each in self.instructions if each.name == name]

    def last(self, name: str) -> Instruction:
        return self.all(name)[-1]


def stages(path: Path) -> list[Stage]:
    found: list[Stage] = []
    for number, line in _logical_lines(path.read_text(encoding="utf-8")):
        name, _, rest = line.partition(" ")
        if name not in KNOWN or not rest.strip():
            raise AssertionError(f"{path.name}:{number}: {line!r} is no instruction")
        flags, text = _flags(rest.strip())
        if name == "FROM":
            base, _, alias = text.partition(" AS ")
            found.append(Stage(base=base.strip(), name=alias.strip()))
            continue
        found[-1].instructions.append(
            Instruction(name, flags, _substituted(text, found[-1]) if name == "COPY" else text)
        )
    return found


def sources(copy: Instruction) -> list[str]:
    return copy.text.split()[:-1]


def exec_form(instruction: Instruction) -> list[str]:
    """The words of a command in JSON form; a shell would swallow signals."""
    words = json.loads(instruction.text)
    if not words or not all(isinstance(word, str) for word in words):
        raise AssertionError(f"{instruction.text!r} is not in exec form")
    return list(words)


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending = ""
    for number, raw in enumerate(text.splitlines(), 1):
        if raw.lstrip().startswith("#") or (not raw.strip() and not pending):
            continue
        pending += raw.strip().removesuffix("\\").rstrip() + " "
        if not raw.rstrip().endswith("\\"):
            lines.append((number, pending.strip()))
            pending = ""
    if pending:
        raise AssertionError("The last line is continued by none.")
    return lines


def _flags(text: str) -> tuple[dict[str, str], str]:
    flags = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", text):
        flags[match[1]] = match[2]
        text = text[match.end() :]
    return flags, text


def _substituted(text: str, stage: Stage) -> str:
    for argument in stage.all("ARG"):
        name, _, default = argument.text.partition("=")
        text = text.replace("${" + name + "}", default)
    if "$" in text:
        raise AssertionError(f"COPY {text}: a variable without a default")
    return text
