"""Masks secrets in text that is about to be logged: keys, tokens, passwords, signed links. Pure."""

import re

MASK = "***"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # AWS access key ids, wherever they stand.
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"), MASK),
    # What makes a link a signed one.
    (
        re.compile(r"(?i)\b((?:x-amz-)?(?:signature|credential|security-token)|awsaccesskeyid)=[^\s&\"'<>]+"),
        r"\1=" + MASK,
    ),
    # user:password@host
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@\"']*):[^\s/@\"']+@"), r"\1:" + MASK + "@"),
    (
        re.compile(
            r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?(?!(?:bearer|basic)\b)[^\s,\"']+"
        ),
        r"\1" + MASK,
    ),
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=-]{8,}"), r"\1 " + MASK),
    # name=value, name: value and "name": "value"
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key)[\"']?\s*[=:]\s*)"
            r"(?:\"[^\"]*\"|'[^']*'|[^\s&,;\"'<>}\])]+)"
        ),
        r"\1" + MASK,
    ),
)


def redacted(text: str) -> str:
    """The text with every secret it is known to look like replaced by `***`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
