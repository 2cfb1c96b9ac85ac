"""Licences as SPDX expressions: their one spelling, and whether a list of allowed ones satisfies one. Pure."""

import functools
from collections.abc import Collection

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

ANY = "*"
MAX_CHARS = 512


def canonical(expression: str) -> str:
    """The expression in SPDX's own spelling. Raises ValueError for what is none."""
    if len(expression) > MAX_CHARS:
        raise ValueError(f"a licence of {len(expression)} characters is no SPDX expression")
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression as exc:
        raise ValueError(
            f"{expression!r} is no SPDX licence expression ({exc}); "
            "write LicenseRef-<name> for a licence without an identifier"
        ) from exc


def satisfies(expression: str, allowed: Collection[str]) -> bool:
    """Whether somebody who may use works under each of the `allowed` licences may use one under `expression`.

    A choice (OR) needs one side, a sum (AND) both. `X+` and `X-or-later` are satisfied by X, an exception (WITH) by its
    licence, as it only adds permissions. An allowed expression of several licences stands for exactly that. `*` allows
    all. Raises ValueError for an expression that is none.
    """
    if ANY in allowed:
        return True
    known = frozenset(_bare(canonical(one)) for one in allowed)
    return _Reader(canonical(expression), known).answer()


class _Reader:
    """Reads a canonical expression from left to right: OR binds weakest, then AND, then WITH."""

    def __init__(self, expression: str, allowed: frozenset[str]) -> None:
        self._tokens = expression.replace("(", "( ").replace(")", " )").split()
        self._allowed = allowed
        self._at = 0

    def answer(self) -> bool:
        return self._choice()

    def _choice(self) -> bool:
        start = self._at
        result = self._sum()
        while self._took("OR"):
            result = self._sum() or result
        return result or self._text(start) in self._allowed

    def _sum(self) -> bool:
        start = self._at
        result = self._one()
        while self._took("AND"):
            result = self._one() and result
        return result or self._text(start) in self._allowed

    def _one(self) -> bool:
        if self._took("("):
            result = self._choice()
            self._took(")")
            return result
        start = self._at
        licence = self._tokens[self._at]
        self._at += 1
        if self._took("WITH"):
            self._at += 1
        return bool({self._text(start), *_grants(licence)} & self._allowed)

    def _took(self, token: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == token:
            self._at += 1
            return True
        return False

    def _text(self, start: int) -> str:
        return _bare(" ".join(self._tokens[start : self._at]).replace("( ", "(").replace(" )", ")"))


@functools.cache
def _grants(licence: str) -> frozenset[str]:
    """The licences that a work under `licence` may be taken under, as far as the names tell."""
    base = licence.removesuffix("+").removesuffix("-or-later")
    if base == licence:
        return frozenset({licence})
    return frozenset({licence, base, f"{base}+", f"{base}-or-later", f"{base}-only"})


def _bare(expression: str) -> str:
    """Without parentheses around the whole."""
    while expression.startswith("(") and expression.endswith(")") and _encloses(expression):
        expression = expression[1:-1]
    return expression


def _encloses(expression: str) -> bool:
    depth = 0
    for place, character in enumerate(expression):
        depth += (character == "(") - (character == ")")
        if not depth:
            return place == len(expression) - 1
    return False
