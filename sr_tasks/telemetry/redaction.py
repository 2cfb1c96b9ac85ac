"""Masks secrets in text that is about to be logged: keys, tokens, passwords, signed links. Pure."""

import re

MASK = "***"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # AWS access key ids, wherever they stand.
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"), MASK),
    # What makes a link a signed one, also in a link that is quoted into another.
    (
        re.compile(
            r"(?i)(?<![a-z0-9])((?:x-(?:amz|goog)-)?(?:signature|credential|security-token)|awsaccesskeyid)(=|%3d)"
            r"(?:(?!%26)[^\s&\"'<>])+"
        ),
        r"\1\2" + MASK,
    ),
    # user:password@host, where the password may hold an @ that nobody encoded
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@\"']*):[^\s/\"'<>]+@"), r"\1:" + MASK + "@"),
    # Links whose path lets anybody post: Slack's, Microsoft's, Discord's.
    (
        re.compile(
            r"(?i)(/services/T[a-z0-9]*/B[a-z0-9]*/|webhook\.office\.com/webhookb2/|discord(?:app)?\.com/api/webhooks/)"
            r"[^\s\"'<>)]+"
        ),
        r"\1" + MASK,
    ),
    (
        re.compile(
            r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?(?!(?:bearer|basic)\b)[^\s,\"']+"
        ),
        r"\1" + MASK,
    ),
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=-]{8,}"), r"\1 " + MASK),
    # name=value, name: value and "name": "value", also where the quotes are those of a JSON text in another
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|token|api[_-]?key|access[_-]?key(?:[_-]?id)?|secret[_-]?key)\\?[\"']?\s*[=:]\s*)"
            r"(?:\\\"(?:(?!\\\").)*\\\"|\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s&,;\"'<>}\])]+)"
        ),
        r"\1" + MASK,
    ),
)


def redacted(text: str) -> str:
    """The text with every secret it is known to look like replaced by `***`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
